#include "striate/data/dataset.h"

#include <fcntl.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "striate/base/strings.h"
#include "striate/data/sample_index.h"

namespace striate {
namespace {

namespace dom = simdjson::dom;

constexpr std::string_view kFormHint =
    R"(a sample is {"id", "image", "conversations": [{"from": "human", "value": "..."}, {"from": "gpt", ...}]})";

// A file opened for reading from many threads.
class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path)
      : path_(path), descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    struct stat status {};
    if (descriptor_ < 0 || fstat(descriptor_, &status) != 0) {
      const int error = errno;
      if (descriptor_ >= 0) close(descriptor_);
      throw invalid_input(cat(path.string(), ": cannot be read: ", std::strerror(error)), "check the path");
    }
    if (!S_ISREG(status.st_mode)) {
      close(descriptor_);
      throw invalid_input(cat(path.string(), ": not a file"), "give a JSON or JSON Lines file");
    }
  }
  ~OpenFile() { close(descriptor_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  // As many bytes as there are, up to `count`.
  std::size_t read_at(std::uint64_t offset, char* into, std::size_t count) const {
    std::size_t done = 0;
    while (done < count) {
      const ssize_t got = pread(descriptor_, into + done, count - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw resource_error(cat(path_.string(), ": ", std::strerror(errno)), "check the disk");
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

 private:
  std::filesystem::path path_;
  int descriptor_;
};

// Turns one sample's JSON into a Record, saying which field is wrong.
class RecordReader {
 public:
  explicit RecordReader(std::string place) : place_(std::move(place)) {}

  Record read(dom::element root) const {
    dom::object object;
    if (root.get(object) != simdjson::SUCCESS) fail("is not an object");
    Record record;
    bool has_turns = false;
    // As in Python's json, the last of several fields of one name counts.
    for (const auto& [key, value] : object) {
      if (key == "id") record.id = read_id(value);
      if (key == "image") record.images = read_images(value);
      if (key == "conversations") {
        record.turns = read_turns(value);
        has_turns = true;
      }
    }
    if (!has_turns) fail("has no \"conversations\"");
    return record;
  }

 private:
  std::string read_id(dom::element value) const {
    std::string_view text;
    if (value.get(text) == simdjson::SUCCESS) return std::string(text);
    if (std::int64_t number = 0; value.get(number) == simdjson::SUCCESS) return std::to_string(number);
    if (value.is_null()) return {};
    fail("\"id\" is neither a string nor a whole number");
  }

  std::vector<std::string> read_images(dom::element value) const {
    std::string_view text;
    if (value.is_null()) return {};
    if (value.get(text) == simdjson::SUCCESS) return {std::string(text)};
    dom::array list;
    if (value.get(list) != simdjson::SUCCESS) fail("\"image\" is neither a string nor a list of strings");
    std::vector<std::string> images;
    for (dom::element item : list) {
      if (item.get(text) != simdjson::SUCCESS) fail(cat("\"image\"[", images.size(), "] is not a string"));
      images.emplace_back(text);
    }
    return images;
  }

  std::vector<Message> read_turns(dom::element value) const {
    dom::array list;
    if (value.get(list) != simdjson::SUCCESS) fail("\"conversations\" is not a list");
    std::vector<Message> turns;
    for (dom::element item : list) {
      const std::size_t index = turns.size();
      dom::object object;
      if (item.get(object) != simdjson::SUCCESS) fail(cat("conversations[", index, "] is not an object"));
      turns.push_back({text_of(object, "from", index), text_of(object, "value", index)});
    }
    return turns;
  }

  std::string text_of(dom::object object, std::string_view name, std::size_t index) const {
    bool found = false;
    dom::element last;
    for (const auto& [key, value] : object) {
      if (key != name) continue;
      found = true;
      last = value;
    }
    std::string_view text;
    if (!found) fail(cat("conversations[", index, "] has no \"", name, "\""));
    if (last.get(text) != simdjson::SUCCESS) fail(cat("conversations[", index, "].", name, " is not a string"));
    return std::string(text);
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw BadSample(BadReason::kBrokenRecord, cat(place_, ": ", what), std::string(kFormHint));
  }

  std::string place_;
};

}  // namespace

struct Dataset::State {
  explicit State(const std::filesystem::path& path) : path(path), file(path) {
    std::uint64_t offset = 0;
    const BlockReader next = [&](std::span<char> into) {
      const std::size_t got = file.read_at(offset, into.data(), into.size());
      offset += got;
      return got;
    };
    index = index_samples(next, path.string());
  }

  std::filesystem::path path;
  OpenFile file;
  SampleIndex index;
};

Dataset::Dataset(const std::filesystem::path& file) : state_(std::make_unique<State>(file)) {
  if (state_->index.samples.empty()) throw invalid_input(cat(file.string(), ": no samples in it"), "give more data");
}

Dataset::~Dataset() = default;
Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&&) noexcept = default;

std::int64_t Dataset::size() const {
  return static_cast<std::int64_t>(state_->index.samples.size());
}

const std::filesystem::path& Dataset::file() const {
  return state_->path;
}

std::int64_t Dataset::line(std::int64_t index) const {
  return state_->index.samples.at(static_cast<std::size_t>(index)).line;
}

std::string Dataset::place(std::int64_t index) const {
  return cat(state_->path.string(), ": sample ", index, " (line ", line(index), ")");
}

Record Dataset::read(std::int64_t index) const {
  const SampleRange& range = state_->index.samples.at(static_cast<std::size_t>(index));
  simdjson::padded_string text(range.length);
  const std::size_t got = state_->file.read_at(range.begin, text.data(), range.length);
  const std::string_view bytes(text.data(), range.length);
  if (got != range.length || bytes.front() != '{' || bytes.back() != '}') {
    throw corrupt_data(cat(place(index), ": the file changed while it was being read"), "start again");
  }
  dom::parser parser;
  dom::element root;
  if (const auto error = parser.parse(text).get(root); error != simdjson::SUCCESS) {
    const std::string what =
        error == simdjson::UTF8_ERROR ? std::string("not UTF-8") : cat("not JSON: ", simdjson::error_message(error));
    throw BadSample(BadReason::kBrokenRecord, cat(place(index), ": ", what), "repair the sample, or leave it out");
  }
  return RecordReader(place(index)).read(root);
}

}  // namespace striate
