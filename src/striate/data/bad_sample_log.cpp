#include "striate/data/bad_sample_log.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "striate/base/strings.h"

namespace striate {

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

void BadSampleLog::add(const Dataset& data, const std::vector<SkippedSample>& skipped) {
  if (file_.empty() || skipped.empty()) return;
  std::ofstream out(file_, std::ios::app);
  for (const SkippedSample& bad : skipped) {
    if (!named_.insert(bad.index).second) continue;
    const nlohmann::json entry = {{"sample", bad.index},
                                  {"line", data.line(bad.index)},
                                  {"id", bad.id},
                                  {"reason", bad_reason_name(bad.reason)},
                                  {"message", bad.message}};
    out << entry.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  }
  out.close();
  if (!out) throw resource_error(cat(file_.string(), ": cannot be written"), "free some space, or check the folder");
}

}  // namespace striate
