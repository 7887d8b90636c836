#include "striate/data/bad_sample_log.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "striate/base/files.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

std::string entry_of(const SkippedSample& bad) {
  const nlohmann::json entry = {{"sample", bad.index},
                                {"line", bad.line},
                                {"id", bad.id},
                                {"reason", bad_reason_name(bad.reason)},
                                {"message", bad.message}};
  return entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

}  // namespace

BadSampleLog::BadSampleLog(std::filesystem::path file) : file_(std::move(file)) {
  std::ifstream old(file_);
  for (std::string line; std::getline(old, line);) {
    // A line that a killed run left half written is no entry.
    const nlohmann::json entry = nlohmann::json::parse(line, nullptr, false);
    if (entry.is_object() && entry.contains("sample") && entry["sample"].is_number_integer()) {
      named_.insert(entry["sample"].get<std::int64_t>());
    }
  }
}

void BadSampleLog::add(const std::vector<SkippedSample>& skipped) {
  if (file_.empty() || skipped.empty()) return;
  std::ofstream out(file_, std::ios::app);
  for (const SkippedSample& bad : skipped) {
    if (named_.insert(bad.index).second) out << entry_of(bad);
  }
  out.close();
  if (!out) throw resource_error(cat(file_.string(), ": cannot be written"), "free some space, or check the folder");
}

void write_bad_samples(const std::filesystem::path& file, const std::vector<SkippedSample>& skipped) {
  std::string text;
  for (const SkippedSample& bad : skipped) text += entry_of(bad);
  write_file(file, text);
}

}  // namespace striate
