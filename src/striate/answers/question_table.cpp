#include "striate/answers/question_table.h"

#include <algorithm>

#include "striate/answers/python_text.h"
#include "striate/base/strings.h"
#include "striate/tables/pandas.h"

namespace striate {
namespace {

constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

// What stands for a missing value after str() of NaN or None: no publisher has it as an option's text.
bool is_nothing_written(const std::string& cell) {
  return cell.empty() || cell == "nan" || cell == "NaN";
}

}  // namespace

NeededFile question_tables(const std::string& tsv, const std::string& split, const std::string& folder,
                           const std::string& from) {
  NeededFile file{{}, "questions, answers and pictures in one table", from, true};
  if (!tsv.empty()) file.names.push_back(tsv + "*.tsv");
  for (const std::string& place : {std::string(), std::string("data/"), folder.empty() ? folder : folder + "/"}) {
    const std::string name = cat(place, split, "-*.parquet");
    if (std::ranges::find(file.names, name) == file.names.end()) file.names.push_back(name);
  }
  return file;
}

void read_rows(QuestionSet& set, const DataFolder& data, std::span<const std::filesystem::path> files,
               const std::function<void(const Row&)>& take) {
  std::vector<std::shared_ptr<const PictureSource>> pictures = {set.pictures};
  for (const std::filesystem::path& path : files) {
    const auto rows = open_rows(path, {}, data.name_of(path));
    data.bad_rows().take_all(*rows, take);
    pictures.push_back(rows->pictures());
  }
  set.pictures = join_pictures(std::move(pictures));
}

void leave_out(QuestionSet& set, const DataFolder& data, const std::function<bool(const Question&)>& lacks,
               const std::string& what) {
  std::erase_if(set.questions, [&](const Question& question) {
    if (!lacks(question)) return false;
    const std::string place = cat(data.path().string(), ": question ", question.publisher_id);
    data.bad_rows().add({place, cat(place, " ", what), "take all files from the same release"});
    return true;
  });
}

std::string text_of_first(const Row& row, std::initializer_list<const char*> columns, std::string_view otherwise) {
  const auto found = std::ranges::find_if(columns, [&](const char* column) { return has(row, column); });
  return found == columns.end() ? std::string(otherwise) : text_of(row, *found);
}

std::string text_of_first(const Row& row, std::initializer_list<const char*> columns) {
  const auto found = std::ranges::find_if(columns, [&](const char* column) { return has(row, column); });
  return text_of(row, found == columns.end() ? *columns.begin() : *found);
}

std::vector<std::string> pictures_of(const Row& row, const char* column) {
  return has(row, column) ? texts_of(row, column) : std::vector<std::string>();
}

std::string cell_or_empty(const Row& row, const char* column) {
  std::string cell = text_of(row, column, "");
  return is_pandas_missing(cell) || python::lower(cell) == "none" ? std::string() : cell;
}

void take_options(Question& question, const Row& row) {
  std::vector<std::string> options;
  std::size_t count = 0;
  for (const char letter : kLetters) {
    const std::string column(1, letter);
    if (!row.fields.contains(column)) break;
    std::string cell = text_of(row, column.c_str(), "");
    if (is_nothing_written(cell)) cell.clear();
    options.push_back(std::move(cell));
    if (!options.back().empty()) count = options.size();
  }
  options.resize(count);
  question.options = std::move(options);
  find_missing_options(question);
}

void find_missing_options(Question& question) {
  question.missing_options.clear();
  for (std::size_t i = 0; i < std::min(question.options.size(), kLetters.size()); ++i) {
    if (is_pandas_missing(question.options[i])) question.missing_options += kLetters[i];
  }
}

void note_missing_options(QuestionSet& set) {
  std::size_t options = 0, questions = 0;
  for (const Question& question : set.questions) {
    options += question.missing_options.size();
    questions += question.missing_options.empty() ? 0 : 1;
  }
  if (options == 0) return;
  set.notes.push_back(cat("options that pandas reads as missing (\"None\", \"NA\", ...): ", options, ", of ",
                          counted(questions, "question"),
                          "; the protocols whose originals read the table with pandas do not show them"));
}

std::optional<std::string> NamedPictures::bytes(const std::string& name) const {
  const auto cell = cells_.find(name);
  return cell == cells_.end() ? std::nullopt : source_->bytes(cell->second);
}

}  // namespace striate
