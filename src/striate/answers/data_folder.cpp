#include "striate/answers/data_folder.h"

#include <algorithm>

#include "striate/base/paths.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

// Whether `name` is `pattern`, in which "*" stands for any text.
bool matches(std::string_view name, std::string_view pattern) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return name == pattern;
  if (!name.starts_with(pattern.substr(0, star))) return false;
  name.remove_prefix(star);
  pattern.remove_prefix(star + 1);
  for (std::size_t skipped = 0; skipped <= name.size(); ++skipped) {
    if (matches(name.substr(skipped), pattern)) return true;
  }
  return false;
}

std::vector<fs::path> files_matching(const fs::path& folder, const fs::path& pattern) {
  std::vector<fs::path> found = {folder};
  for (auto part = pattern.begin(); part != pattern.end(); ++part) {
    const std::string name = part->string();
    const auto is_wanted = std::next(part) == pattern.end() ? is_file : is_folder;
    std::vector<fs::path> inside;
    for (const fs::path& place : found) {
      if (name.find('*') == std::string::npos) {
        if (is_wanted(place / name)) inside.push_back(place / name);
        continue;
      }
      for (const fs::path& entry : entries_of(place)) {
        if (matches(entry.filename().string(), name) && is_wanted(entry)) inside.push_back(entry);
      }
    }
    found = std::move(inside);
  }
  return found;
}

bool is_table(const fs::path& file) {
  return file.extension() == ".tsv" || file.extension() == ".parquet";
}

}  // namespace

DataFolder::DataFolder(fs::path path, std::string benchmark, OnBadRow on_bad_row)
    : path_(std::move(path)),
      benchmark_(std::move(benchmark)),
      is_file_(is_file(path_)),
      bad_rows_(std::make_shared<BadRows>(on_bad_row)) {
  if (!is_file_ && !is_folder(path_)) {
    throw invalid_input(cat("`data` ", path_.string(), ": there is no such folder"),
                        cat("striate eval list ", benchmark_, " says which files belong in it"));
  }
}

std::optional<fs::path> DataFolder::find(const NeededFile& file) const {
  if (is_file_) return path_;
  for (const std::string& name : file.names) {
    const std::vector<fs::path> found = files_matching(path_, name);
    if (!found.empty()) return found.front();
  }
  return std::nullopt;
}

std::vector<fs::path> DataFolder::find_all(const NeededFile& file) const {
  if (is_file_) return {path_};
  std::vector<fs::path> all;
  for (const std::string& name : file.names) {
    const std::vector<fs::path> found = files_matching(path_, name);
    all.insert(all.end(), found.begin(), found.end());
  }
  std::ranges::sort(all);
  const auto [first, last] = std::ranges::unique(all);
  all.erase(first, last);
  return all;
}

fs::path DataFolder::require(const NeededFile& file) const {
  const std::optional<fs::path> found = find(file);
  if (!found) throw missing(file);
  return *found;
}

std::vector<fs::path> DataFolder::require_all(const NeededFile& file) const {
  std::vector<fs::path> found = find_all(file);
  if (found.empty()) throw missing(file);
  return found;
}

std::vector<fs::path> DataFolder::find_tables(const NeededFile& tables, const std::vector<NeededFile>& rather) const {
  if (is_file_) return is_table(path_) ? std::vector<fs::path>{path_} : std::vector<fs::path>();
  if (std::ranges::any_of(rather, [&](const NeededFile& file) { return find(file).has_value(); })) return {};
  std::vector<fs::path> found = find_all(tables);
  std::erase_if(found, [](const fs::path& file) { return !is_table(file); });
  return found;
}

std::string DataFolder::name_of(const fs::path& file) const {
  return is_file_ ? file.filename().string() : file.lexically_relative(path_).generic_string();
}

void DataFolder::each_row(const fs::path& file, const std::function<void(const Row&)>& take) const {
  each_row(file, {}, take);
}

void DataFolder::each_row(const fs::path& file, std::string_view member,
                          const std::function<void(const Row&)>& take) const {
  bad_rows_->take_all(*open_rows(file, member), take);
}

Error DataFolder::missing(const NeededFile& file) const {
  return invalid_input(cat(path_.string(), ": ", benchmark_, " needs ", join(file.names, " or "), " (", file.what, ")"),
                       cat("get it from ", file.from));
}

}  // namespace striate
