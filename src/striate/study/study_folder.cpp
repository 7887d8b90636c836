#include "striate/study/study_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/output_path.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/version.h"

namespace striate::study {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kStudyFile = "study.json";
constexpr const char* kDefinitionFile = "study.toml";
constexpr const char* kCellFile = "cell.json";
constexpr const char* kMadeBy = "striate study";

json read_study_file(const fs::path& root) {
  const fs::path file = root / kStudyFile;
  json record = read_json_file(file);
  const bool ours = record.is_object() && record.value("made_by", json()) == kMadeBy &&
                    record.value("name", json()).is_string() && record.value("relative_to", json()).is_string();
  if (!ours) throw invalid_input(cat(file.string(), ": not the record of a study"), "give another folder with `out`");
  return record;
}

std::string lock_name(const Cell& cell) {
  return cat("running/", cell.id);
}

double number_in(const json& record, const char* key) {
  const json value = record.value(key, json());
  return value.is_number() ? value.get<double>() : 0;
}

}  // namespace

void StudyFolder::begin(const StudyDefinition& study) const {
  if (root_.empty()) throw invalid_input("no `out` folder was given", "give a folder for the study: `out` DIR");
  if (path_exists(root_) && !is_folder(root_)) {
    throw invalid_input(cat(root_.string(), ": exists and is not a folder"), "give the name of a new folder");
  }
  std::string definition = read_file(study.file, 1 << 20);
  if (is_file(root_ / kStudyFile)) {
    const std::string before = read_study_file(root_).at("name");
    if (before != study.name) {
      throw invalid_input(
          cat(root_.string(), ": holds the study \"", before, "\", and this one is \"", study.name, "\""),
          "give another folder with `out`");
    }
  } else if (path_exists(root_)) {
    std::vector<fs::path> inside = entries_of(root_);
    std::erase_if(inside, [](const fs::path& path) { return path.filename() == FolderLock::kFile; });
    if (!inside.empty()) {
      throw invalid_input(cat(root_.string(), ": exists and is not a study's folder"), "give the name of a new folder");
    }
  }
  make_folders(root_);
  const json record = {
      {"made_by", kMadeBy}, {"name", study.name}, {"version", STRIATE_VERSION}, {"relative_to", study.folder.string()}};
  write_file(OutputPath::inside(root_, kDefinitionFile), definition);
  write_file(OutputPath::inside(root_, kStudyFile), json_text(record, 2) + "\n");
}

StudyDefinition StudyFolder::definition() const {
  if (!is_file(root_ / kStudyFile) || !is_file(root_ / kDefinitionFile)) {
    throw invalid_input(cat(root_.string(), ": not a study's folder"),
                        "begin one: striate study run STUDY.toml `out` DIR");
  }
  return read_definition(root_ / kDefinitionFile, read_study_file(root_).at("relative_to").get<std::string>());
}

std::optional<CellRecord> StudyFolder::record(const Cell& cell) const {
  const fs::path file = this->cell(cell) / kCellFile;
  if (!is_file(file)) return std::nullopt;
  const json kept = read_json_file(file);
  if (!kept.is_object() || kept.value("cell", json()) != cell.id || kept.value("settings", json()) != cell.settings) {
    throw invalid_input(cat(file.string(), ": a cell of another study"),
                        "remove this folder, or give the study another one with `out`");
  }
  CellRecord record;
  record.seconds = number_in(kept, "seconds");
  record.processor_seconds = number_in(kept, "processor_seconds");
  record.peak_memory = static_cast<std::uint64_t>(number_in(kept, "peak_memory"));
  const json computed = kept.value("computed", json());
  if (computed.is_string()) record.computed = computed.get<std::string>();
  record.resumed = kept.value("resumed", json()) == true;
  record.result = kept.value("result", json::object());
  return record;
}

void StudyFolder::finish(const Cell& cell, const CellRecord& record) const {
  const json written = {{"cell", cell.id},
                        {"version", STRIATE_VERSION},
                        {"settings", cell.settings},
                        {"seconds", record.seconds},
                        {"processor_seconds", record.processor_seconds},
                        {"peak_memory", record.peak_memory},
                        {"computed", record.computed},
                        {"resumed", record.resumed},
                        {"result", record.result}};
  write_file(OutputPath::inside(this->cell(cell), kCellFile), json_text(written, 2) + "\n");
}

std::optional<std::string> StudyFolder::failure(const Cell& cell) const {
  const fs::path file = root_ / "failed" / (cell.id + ".json");
  if (!is_file(file)) return std::nullopt;
  const json record = read_json_file(file);
  const json reason = record.is_object() ? record.value("reason", json()) : json();
  return reason.is_string() ? reason.get<std::string>() : std::string("its process ended");
}

void StudyFolder::fail(const Cell& cell, const std::string& reason) const {
  write_file(OutputPath::inside(root_, cat("failed/", cell.id, ".json")),
             json_text({{"cell", cell.id}, {"reason", reason}}, 2) + "\n");
}

void StudyFolder::forget_failure(const Cell& cell) const {
  std::error_code absent;
  fs::remove(root_ / "failed" / (cell.id + ".json"), absent);
}

std::unique_ptr<const FolderLock> StudyFolder::lock(const Cell& cell) const {
  return std::make_unique<const FolderLock>(output_folder_inside(root_, lock_name(cell)));
}

bool StudyFolder::is_running(const Cell& cell) const {
  const fs::path file = root_ / lock_name(cell) / FolderLock::kFile;
  int descriptor = ::open(file.c_str(), O_RDWR | O_CLOEXEC);  // NFS locks what is open for writing alone
  if (descriptor < 0) descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool held = try_lock(descriptor) == LockState::kHeld;
  ::close(descriptor);
  return held;
}

}  // namespace striate::study
