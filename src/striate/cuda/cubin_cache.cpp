#include "striate/cuda/cubin_cache.h"

#include <cstdlib>
#include <string_view>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/sha256.h"
#include "striate/base/strings.h"
#include "striate/cuda/nvrtc.h"

namespace striate::cuda {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigits = 64;  // of a SHA-256
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 26;

std::optional<fs::path> folder_named_by(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr || !fs::path(value).is_absolute()) return std::nullopt;
  return fs::path(value);
}

// Each part with its length, so that no two lists have one text.
std::string file_name(const KernelSource& source, int architecture, const std::string& compiler) {
  std::string all;
  const auto add = [&all](std::string_view part) { all += cat(part.size(), ":", part, "\n"); };
  add("1");  // the form of these files
  add(compiler);
  add(cat(architecture));
  for (const std::string& option : compile_options()) add(option);
  add(shared_source());
  add(source.text);
  return cat(source.name, "-sm_", architecture, "-", sha256_of(all), ".cubin");
}

std::optional<std::string> kept(const fs::path& file) {
  try {
    if (!is_file(file)) return std::nullopt;
    const std::string bytes = read_file(file, kMostBytes);
    if (bytes.size() <= kDigits) return std::nullopt;
    std::string cubin = bytes.substr(kDigits);
    if (sha256_of(cubin) != std::string_view(bytes).substr(0, kDigits)) return std::nullopt;
    return cubin;
  } catch (const Error&) {
    return std::nullopt;  // what cannot be read is made again
  }
}

void keep(const fs::path& folder, const std::string& name, const std::string& cubin) {
  try {
    make_folders(folder);
    write_file(OutputPath::inside(folder, name), sha256_of(cubin) + cubin, Durability::kCache);
  } catch (const Error&) {
    // The next process compiles it again.
  }
}

}  // namespace

std::optional<fs::path> user_cache_folder() {
  if (const auto folder = folder_named_by("XDG_CACHE_HOME")) return *folder / "striate" / "kernels";
  if (const auto home = folder_named_by("HOME")) return *home / ".cache" / "striate" / "kernels";
  return std::nullopt;
}

CubinCache::CubinCache(std::optional<fs::path> folder, std::string compiler, Compile compile)
    : folder_(std::move(folder)), compiler_(std::move(compiler)), compile_(std::move(compile)) {}

std::string CubinCache::cubin(const KernelSource& source, int architecture) const {
  if (!folder_) return compile_(source, architecture);
  const std::string name = file_name(source, architecture, compiler_);
  if (auto cubin = kept(*folder_ / name)) return std::move(*cubin);
  std::string cubin = compile_(source, architecture);
  keep(*folder_, name, cubin);
  return cubin;
}

}  // namespace striate::cuda
