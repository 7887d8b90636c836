#include "striate/eval/answer_folder.h"

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kRunFile = "run.json";
constexpr const char* kMadeBy = "striate eval run";
constexpr std::string_view kRankFolder = ".rank-";

std::string rank_folder(int rank) {
  return cat(kRankFolder, rank);
}

std::string shown_value(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// Throws for the first member of `asked` that `kept` has otherwise.
void require_same(const json& kept, const json& asked, const std::string& where) {
  for (const auto& [name, value] : asked.items()) {
    const json before = kept.contains(name) ? kept.at(name) : json();
    if (before == value) continue;
    throw invalid_input(cat(where, ": the folder holds answers with another ", name, " (", shown_value(before),
                            ", and now ", shown_value(value), ")"),
                        "give the settings that the folder was begun with, or another folder with `out`");
  }
}

json read_record(const fs::path& folder) {
  const fs::path file = folder / kRunFile;
  if (!is_file(file)) return nullptr;
  json record = read_json_file(file, kHistoryJson);
  const bool ours = record.is_object() && record.value("made_by", json()) == kMadeBy &&
                    record.value("benchmarks", json()).is_array() && record.value("identity", json()).is_object();
  if (!ours) {
    throw invalid_input(cat(file.string(), ": not the record of such a run"), "give a new folder with `out`");
  }
  return record;
}

}  // namespace

AnswerFolder::AnswerFolder(fs::path folder, const json& identity, Collective& ranks)
    : folder_(std::move(folder)), ranks_(ranks) {
  if (folder_.empty()) throw invalid_input("no `out` folder was given", "give a folder for the answers: `out` DIR");
  if (path_exists(folder_) && !is_folder(folder_)) {
    throw invalid_input(cat(folder_.string(), ": exists and is not a folder"), "give the name of a new folder");
  }
  if (ranks_.rank() == 0) {
    make_folders(folder_);
    lock_ = std::make_unique<FolderLock>(folder_);
    clear_leftovers_in(folder_);
    record_ = read_record(folder_);
    std::vector<fs::path> inside = entries_of(folder_);
    std::erase_if(inside, [](const fs::path& path) { return path.filename() == FolderLock::kFile; });
    if (record_.is_null() && !inside.empty()) {
      throw invalid_input(cat(folder_.string(), ": exists and is not empty"), "give the name of a new folder");
    }
    if (record_.is_null()) {
      record_ = {{"made_by", kMadeBy}, {"identity", identity}, {"benchmarks", json::array()}};
    } else {
      require_same(record_.at("identity"), identity, folder_.string());
    }
    write();
  }
  ranks_.barrier();
  if (ranks_.rank() != 0) record_ = read_record(folder_);
}

AnswerFolder::~AnswerFolder() = default;

void AnswerFolder::write() const {
  write_file(OutputPath::inside(folder_, kRunFile), record_.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

void AnswerFolder::begin(const json& part) {
  json& parts = record_.at("benchmarks");
  const auto same = std::find_if(parts.begin(), parts.end(), [&](const json& kept) {
    return kept.is_object() && kept.value("name", json()) == part.at("name");
  });
  if (same == parts.end()) {
    parts.push_back(part);
  } else {
    json fixed = part;
    // Protocols that ask alike share their answers, and files may move.
    for (const char* name : {"limit", "protocol", "protocol_version", "data", "pictures", "bad_rows"})
      fixed.erase(name);
    require_same(*same, fixed, cat(folder_.string(), ", benchmark ", part.at("name").get<std::string>()));
    *same = part;
  }
  if (ranks_.rank() == 0) write();
}

void AnswerFolder::note(const std::string& name, const json& value) {
  if (ranks_.rank() != 0) return;
  record_[name] = value;
  write();
}

std::unique_ptr<AnswerLog> AnswerFolder::open_log(const std::string& benchmark) {
  if (ranks_.rank() == 0) {
    make_folders(part_folder(benchmark));
    collect(benchmark);
  }
  ranks_.barrier();
  if (ranks_.rank() == 0) return std::make_unique<AnswerLog>(part_folder(benchmark));
  return std::make_unique<AnswerLog>(output_folder_inside(part_folder(benchmark), rank_folder(ranks_.rank())));
}

std::set<std::string> AnswerFolder::answered(const std::string& benchmark, const std::string& asking) const {
  std::set<std::string> ids;
  const fs::path folder = part_folder(benchmark);
  if (!is_file(folder / "answers.jsonl")) return ids;
  for (const Answer& answer : read_answers(folder, benchmark).answers) {
    if (answer.asking == asking) ids.insert(answer.question);
  }
  return ids;
}

void AnswerFolder::join(const std::string& benchmark) {
  ranks_.barrier();
  if (ranks_.rank() == 0) collect(benchmark);
  ranks_.barrier();
}

// The other ranks' answers that are not in answers.jsonl yet are put there, and their folders go.
void AnswerFolder::collect(const std::string& benchmark) const {
  const fs::path folder = part_folder(benchmark);
  std::vector<fs::path> others = entries_of(folder);
  std::erase_if(others, [](const fs::path& path) { return !path.filename().string().starts_with(kRankFolder); });
  if (others.empty()) return;
  {
    AnswerLog log(folder);
    std::set<std::pair<std::string, std::string>> known;
    for (const Answer& answer : log.earlier()) known.emplace(answer.asking, answer.question);
    for (const fs::path& other : others) {
      const AnswerLog theirs(other);
      for (const Answer& answer : theirs.earlier()) {
        if (known.emplace(answer.asking, answer.question).second) log.append(answer);
      }
    }
    log.sync();
  }
  for (const fs::path& other : others) {
    std::error_code failed;
    fs::remove_all(other, failed);
  }
}

}  // namespace striate
