#include "tests/commands/called_command.h"

#include <gtest/gtest.h>

#include <iostream>
#include <sstream>

#include "apps/striate/flag_names.h"
#include "apps/striate/libtorch_messages.h"
#include "apps/striate/program.h"
#include "striate/base/strings.h"
#include "striate/tensor/torch_errors.h"

namespace striate::test {
namespace {

// Standard output, kept as long as this lives.
class CapturedOutput {
 public:
  CapturedOutput() : before_(std::cout.rdbuf(text_.rdbuf())) {}
  ~CapturedOutput() { std::cout.rdbuf(before_); }
  CapturedOutput(const CapturedOutput&) = delete;
  CapturedOutput& operator=(const CapturedOutput&) = delete;
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::streambuf* before_;
};

void run_arguments(const std::vector<std::string>& arguments, app::Invocation& run) {
  std::vector<std::string> words = {"striate"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  const auto program = app::make_program(run);
  if (!app::parse_arguments(*program, static_cast<int>(argv.size()), argv.data(), run)) run.action();
}

}  // namespace

std::string call_striate(const std::vector<std::string>& arguments) {
  const CapturedOutput output;
  app::Invocation run;
  run_arguments(arguments, run);
  return output.text();
}

Error refusal_of(const std::vector<std::string>& arguments) {
  const CapturedOutput output;
  app::Invocation run;
  try {
    run_arguments(arguments, run);
  } catch (const std::exception& error) {
    const Error ours = explain(error, app::memory_hint(run.command));
    return Error(ours.kind(), app::with_flags(ours.what()), app::with_flags(ours.hint()));
  }
  ADD_FAILURE() << "not refused: striate " << join(arguments, " ");
  return internal_error("no error");
}

}  // namespace striate::test
