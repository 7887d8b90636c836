#include "striate/data/table_samples.h"

#include <algorithm>
#include <cstring>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tables/formats.h"

namespace striate {
namespace {

constexpr std::uint64_t kMostInMemory = 64'000'000;  // bytes of text
constexpr std::size_t kLongestRow = 16'000'000;      // as a sample of a text file

bool is_turns(const std::string& column) {
  return column == "conversations" || column == "messages";
}

// The datasets library stores a list of objects as an object of lists when it is called a Sequence: back again.
nlohmann::json list_of_objects(const nlohmann::json& columns) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [name, values] : columns.items()) {
    if (!values.is_array() || (!list.empty() && values.size() != list.size())) return columns;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i == list.size()) list.push_back(nlohmann::json::object());
      list[i][name] = values[i];
    }
  }
  return list;
}

// Parquet has every member of a struct in every row: those that are null are not there in JSON.
nlohmann::json without_nulls(const nlohmann::json& value) {
  if (value.is_array()) {
    nlohmann::json list = nlohmann::json::array();
    for (const nlohmann::json& item : value) list.push_back(without_nulls(item));
    return list;
  }
  if (!value.is_object()) return value;
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [name, member] : value.items()) {
    if (!member.is_null()) object[name] = without_nulls(member);
  }
  return object;
}

// The row with the columns that a sample is read from; of the others their names.
std::string sample_text(const nlohmann::json& fields) {
  nlohmann::json sample = nlohmann::json::object();
  for (const auto& [name, value] : fields.items()) {
    if (is_turns(name)) {
      sample[name] = without_nulls(value.is_object() ? list_of_objects(value) : value);
    } else if (name == "id" || name == "image" || name == "images" || name == "system") {
      sample[name] = value;
    } else {
      sample[name] = nullptr;
    }
  }
  return sample.dump();
}

}  // namespace

TableSamples::TableSamples(const std::vector<std::filesystem::path>& files) {
  std::vector<std::shared_ptr<const PictureSource>> pictures;
  for (const std::filesystem::path& path : files) {
    files_.push_back({path, ranges_.size()});
    const auto rows = open_parquet_rows(path, path.filename().string());
    while (const auto row = rows->next()) {
      const std::string text = sample_text(row->fields);
      if (text.size() > kLongestRow) {
        throw corrupt_data(cat(row->place, ": a sample of over 16 MB"), "leave out the row");
      }
      add(text);
    }
    pictures.push_back(rows->pictures());
  }
  pictures_ = join_pictures(std::move(pictures));
}

void TableSamples::add(const std::string& text) {
  if (!on_disk_ && bytes_ + text.size() > kMostInMemory) {
    on_disk_.emplace();
    on_disk_->append(in_memory_);
    in_memory_ = {};
  }
  if (on_disk_) {
    on_disk_->append(text);
  } else {
    in_memory_ += text;
  }
  ranges_.push_back({bytes_, static_cast<std::uint32_t>(text.size())});
  bytes_ += text.size();
}

void TableSamples::read(std::size_t sample, std::span<char> into) const {
  const Range& range = ranges_.at(sample);
  if (on_disk_) return on_disk_->read_at(range.begin, into);
  std::memcpy(into.data(), in_memory_.data() + range.begin, into.size());
}

const TableSamples::File& TableSamples::file_of(std::size_t sample) const {
  const auto after = std::ranges::upper_bound(files_, sample, {}, &File::first);
  return *std::prev(after);
}

const std::filesystem::path& TableSamples::file(std::size_t sample) const {
  return file_of(sample).path;
}

std::uint64_t TableSamples::row(std::size_t sample) const {
  return sample - file_of(sample).first;
}

}  // namespace striate
