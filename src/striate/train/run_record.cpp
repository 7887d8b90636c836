#include "striate/train/run_record.h"

#include <ATen/Parallel.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/matrix.h"

namespace striate {

namespace fs = std::filesystem;

void claim_run_folder(const fs::path& out, bool resume) {
  if (out.empty()) throw invalid_input("no --out folder was given", "give the folder the run is written to: --out DIR");
  std::error_code ignored;
  if (fs::exists(out, ignored) && !fs::is_directory(out, ignored)) {
    throw invalid_input(cat("--out ", out.string(), ": exists and is not a folder"), "give the name of a new folder");
  }
  if (resume || !fs::exists(out, ignored) || fs::is_empty(out, ignored)) return;
  if (fs::exists(out / "run.json")) {
    throw invalid_input(cat("--out ", out.string(), ": a run is already there"),
                        "go on with it: --resume; or give the name of a new folder");
  }
  throw invalid_input(cat("--out ", out.string(), ": exists and is not empty"), "give the name of a new folder");
}

nlohmann::json hardware_description(const std::string& device, const std::string& compute, int ranks) {
  utsname system{};
  ::uname(&system);
  const auto pages = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PHYS_PAGES)));
  const auto page = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PAGESIZE)));
  return {{"machine", system.machine},    {"system", cat(system.sysname, " ", system.release)},
          {"cpu", cpu_description()},     {"threads", at::get_num_threads()},
          {"memory_bytes", pages * page}, {"device", device},
          {"compute", compute},           {"ranks", ranks}};
}

}  // namespace striate
