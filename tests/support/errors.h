// What a test expects of an error that the library throws.
#pragma once

#include <gmock/gmock.h>

#include <string>

#include "striate/base/error.h"

namespace striate::test {

// The message of the Error that `call` throws; "no error" where it throws none.
template <typename Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace striate::test

// The statement throws an Error whose message contains `text`.
#define EXPECT_ERROR(statement, text) EXPECT_THAT(striate::test::error_of([&] { statement; }), testing::HasSubstr(text))
