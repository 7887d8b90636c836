#include "striate/data/data_files.h"

#include <algorithm>
#include <fstream>

#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/sha256.h"
#include "striate/base/strings.h"

namespace striate {

namespace fs = std::filesystem;

std::vector<fs::path> data_files(const fs::path& data) {
  if (!is_folder(data)) return {data};
  std::vector<fs::path> files = entries_of(data);
  std::erase_if(files, [](const fs::path& file) { return file.extension() != ".parquet" || !is_file(file); });
  if (files.empty()) {
    throw invalid_input(cat(data.string(), ": the folder has no Parquet file"),
                        "give a JSON or JSON Lines file, or a folder of Parquet files");
  }
  std::ranges::sort(files);
  return files;
}

bool is_parquet(const fs::path& file) {
  if (!is_file(file)) return false;
  std::ifstream in(file, std::ios::binary);
  char begins[4] = {};
  in.read(begins, sizeof(begins));
  return std::string_view(begins, sizeof(begins)) == "PAR1";
}

std::string data_hash(const fs::path& data) {
  const std::vector<fs::path> files = data_files(data);
  if (files.size() == 1) return sha256_of_file(files.front());
  std::string hashes;
  for (const fs::path& file : files) hashes += sha256_of_file(file);
  return sha256_of(hashes);
}

}  // namespace striate
