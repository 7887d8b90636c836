#include "striate/data/bad_sample_log.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

std::string entry_of(const SkippedSample& bad) {
  const nlohmann::json entry = {{"sample", bad.number},   {"line", bad.line},
                                {"id", bad.id},           {"reason", bad_reason_name(bad.reason)},
                                {"message", bad.message}, {"hint", bad.hint}};
  return entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

}  // namespace

BadSampleLog::BadSampleLog(std::filesystem::path file) : file_(std::move(file)) {
  if (file_.empty() || !path_exists(file_)) return;
  std::istringstream old(read_file(file_));
  for (std::string line; std::getline(old, line);) {
    // A line that a killed run left half written is no entry.
    const auto entry = try_parse_json(line);
    if (entry && entry->is_object() && entry->contains("sample") && entry->at("sample").is_number_integer()) {
      named_.insert(entry->at("sample").get<std::int64_t>());
    }
  }
}

void BadSampleLog::add(const std::vector<SkippedSample>& skipped) {
  if (file_.empty() || skipped.empty()) return;
  std::string text;
  for (const SkippedSample& bad : skipped) {
    if (named_.insert(bad.number).second) text += entry_of(bad);
  }
  if (!text.empty()) AppendFile(OutputPath::inside(file_.parent_path(), file_.filename())).append(text);
}

void write_bad_samples(AtomicFile& file, const std::vector<SkippedSample>& skipped) {
  std::string text;
  for (const SkippedSample& bad : skipped) text += entry_of(bad);
  file.write(text);
  file.commit();
}

}  // namespace striate
