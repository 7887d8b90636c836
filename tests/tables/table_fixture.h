// Rows and pictures of a file, and what is said of one that is damaged.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/tables/bad_rows.h"
#include "striate/tables/rows.h"
#include "tests/support/paths.h"

namespace striate::test {

struct ReadTable {
  std::vector<Row> rows{};
  std::shared_ptr<const PictureSource> pictures{};

  const nlohmann::json& at(std::size_t row, const char* column) const { return rows.at(row).fields.at(column); }
  // The bytes of the picture that a cell names.
  std::string picture(std::size_t row, const char* column) const {
    return pictures->bytes(at(row, column).get<std::string>()).value();
  }
};

inline ReadTable read_table_file(const std::filesystem::path& path) {
  const auto reader = open_rows(path);
  ReadTable table;
  while (auto row = reader->next()) table.rows.push_back(std::move(*row));
  table.pictures = reader->pictures();
  return table;
}

// What is left of a file whose malformed rows are skipped; a row without a text in `column` is one.
struct KeptRows {
  std::vector<std::string> texts{};  // in that column
  std::vector<std::size_t> numbers{};
  std::vector<SkippedRow> skipped{};
};

inline KeptRows kept_rows(const std::filesystem::path& path, const char* column) {
  KeptRows kept;
  BadRows bad(OnBadRow::kSkip);
  const auto rows = open_rows(path);
  bad.take_all(*rows, [&](const Row& row) {
    kept.texts.push_back(text_of(row, column));
    kept.numbers.push_back(row.number);
  });
  kept.skipped = bad.skipped();
  return kept;
}

// The first line of the error that `read` ends in; "" where it ends in none. It must be the user's: exit 2, with a
// hint.
template <typename Read>
std::string refusal_of(Read read) {
  try {
    read();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2) << error.what();
    EXPECT_FALSE(error.hint().empty()) << error.what();
    return error.what();
  }
  return "";
}

}  // namespace striate::test
