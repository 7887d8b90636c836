#include "striate/answers/answer_file.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFileName = "answers.jsonl";
constexpr std::string_view kFirstKey = R"({"question_id":)";  // how every line of ours begins (answer.cpp)
constexpr const char* kLineHint = "repair the line, or remove it and ask its question again";

// The text up to the last line break, where what follows is no JSON.
std::string_view whole_lines(std::string_view text) {
  const std::size_t last = text.rfind('\n');
  const std::string_view rest = text.substr(last == std::string_view::npos ? 0 : last + 1);
  if (trim(rest).empty() || try_parse_json(rest)) return text;
  return text.substr(0, text.size() - rest.size());
}

AnswerFile read_lines(const fs::path& path) {
  AnswerFile file{path};
  const auto mapped = MappedFile::open(path);
  const std::string_view all(reinterpret_cast<const char*>(mapped->bytes().data()), mapped->bytes().size());
  std::string_view rest = whole_lines(all);
  file.cut_line = rest.size() < all.size();
  // A file of one broken line was not written by a run: a run's first line is whole before its second begins.
  if (file.cut_line && rest.empty()) parse_json(trim(all), cat(path.string(), ":1"), kLineJson);
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = trim(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty()) continue;
    const std::string place = cat(path.string(), ":", number);
    file.answers.push_back(read_answer(parse_json(line, place, kLineJson), place));
  }
  return file;
}

AnswerFile read_records(const fs::path& path) {
  AnswerFile file{path};
  const auto rows = open_rows(path);
  while (const auto row = rows->next()) {
    if (!row->key.empty() && row->fields.is_string()) {
      file.answers.push_back({.question = row->key, .text = row->fields.get<std::string>(), .place = row->place});
    } else {
      file.answers.push_back(read_answer(row->fields, row->place));
    }
  }
  return file;
}

// As Bunny's conversion writes it for calculation_mme.py: the task is the file's name.
void read_mme_answers(AnswerFile& file, const fs::path& path) {
  std::size_t number = 0;
  for (const std::string& line : split(read_file(path), '\n')) {
    ++number;
    if (trim(line).empty()) continue;
    const std::vector<std::string> cells = split(line, '\t');
    const std::string place = cat(path.string(), ":", number);
    if (cells.size() != 4) {
      throw corrupt_data(
          cat(place, ": ", cells.size(), " columns, where picture, question, right answer and answer are 4"),
          kLineHint);
    }
    if (!is_valid_utf8(line)) throw corrupt_data(place + ": not UTF-8", kLineHint);
    file.answers.push_back(
        {.question = cat(path.stem().string(), "/", cells[0]), .prompt = cells[1], .text = cells[3], .place = place});
  }
}

AnswerFile read_text_folder(const fs::path& folder) {
  AnswerFile file{folder};
  for (const fs::path& entry : entries_of(folder)) {
    if (entry.extension() == ".txt") read_mme_answers(file, entry);
  }
  if (file.answers.empty()) {
    throw invalid_input(cat(folder.string(), ": there is no ", kFileName),
                        "name the folder that a run wrote, or a file of answers");
  }
  return file;
}

}  // namespace

AnswerFile read_answers(const fs::path& path, const std::string& benchmark) {
  if (is_folder(path)) {
    for (const fs::path& inside : {path / kFileName, path / benchmark / kFileName}) {
      if (is_file(inside)) return read_lines(inside);
    }
    return read_text_folder(path);
  }
  if (path.extension() == ".jsonl") return read_lines(path);
  if (path.extension() == ".txt") {
    AnswerFile file{path};
    read_mme_answers(file, path);
    return file;
  }
  return read_records(path);
}

AnswerLog::AnswerLog(const fs::path& folder, const fs::path& name) : path_(OutputPath::inside(folder, name)) {
  const fs::path path = folder / name;
  if (!is_file(path) || file_size_of(path) == 0) return;
  const std::string text = read_file(path, std::uint64_t{1} << 36);
  const std::string_view whole = whole_lines(text);
  if (whole.empty() && !text.starts_with(kFirstKey) && !kFirstKey.starts_with(text)) {
    throw invalid_input(cat(path.string(), ": not a file of answers"), "give the name of a new file with `out`");
  }
  if (whole.size() < text.size()) mended_ = whole;
  if (whole.size() == text.size() && !text.ends_with('\n')) mended_ = text + "\n";
  if (!whole.empty()) earlier_ = read_lines(path).answers;
}

AppendFile& AnswerLog::opened() {
  if (file_) return *file_;
  if (mended_) write_file(path_, *std::exchange(mended_, std::nullopt));
  file_ = std::make_unique<AppendFile>(path_);
  return *file_;
}

void AnswerLog::append(const Answer& answer) {
  opened().append(answer_line(answer));
}

void AnswerLog::sync() {
  opened().sync();
}

}  // namespace striate
