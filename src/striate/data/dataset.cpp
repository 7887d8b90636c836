#include "striate/data/dataset.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <string_view>

#include "striate/base/strings.h"
#include "striate/data/data_files.h"
#include "striate/data/record_reader.h"
#include "striate/data/sample_index.h"
#include "striate/data/sample_order.h"
#include "striate/data/table_samples.h"
#include "striate/image/picture_name.h"

namespace striate {
namespace {

constexpr std::size_t kShownSample = 40;  // bytes of what is no sample

// A file opened for reading from many threads.
class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path)
      : path_(path), descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    struct stat status {};
    if (descriptor_ < 0 || fstat(descriptor_, &status) != 0) {
      const int error = errno;
      if (descriptor_ >= 0) close(descriptor_);
      if (const auto other = not_a_file(path.string())) {
        throw invalid_input(cat("data is read only from files, and this is not a file: ", shortened(path.string(), 80)),
                            "download the data set, and give the file's name");
      }
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

}  // namespace

struct Dataset::State {
  explicit State(const std::filesystem::path& path) : path(path) {
    const std::vector<std::filesystem::path> files = data_files(path);
    if (is_parquet(files.front())) {
      table.emplace(files);
      return;
    }
    file.emplace(files.front());
    std::uint64_t offset = 0;
    const BlockReader next = [&](std::span<char> into) {
      const std::size_t got = file->read_at(offset, into.data(), into.size());
      offset += got;
      return got;
    };
    index = index_samples(next, path.string());
  }
  std::size_t whole_size() const { return table ? table->size() : index.samples.size(); }
  std::size_t size() const { return kept.empty() ? whole_size() : kept.size(); }
  // The number in the file.
  std::size_t in_file(std::int64_t sample) const {
    return kept.empty() ? static_cast<std::size_t>(sample) : kept.at(static_cast<std::size_t>(sample));
  }
  void keep(const DataFraction& fraction);

  std::filesystem::path path;
  std::optional<TableSamples> table;  // of Parquet
  std::optional<OpenFile> file;       // of text
  SampleIndex index;
  std::vector<std::uint32_t> kept;  // numbers in the file, ascending; empty: all
};

void Dataset::State::keep(const DataFraction& fraction) {
  if (!(fraction.share > 0 && fraction.share <= 1)) {
    throw invalid_input(cat("`data_fraction` ", fraction.share, " is not above 0 and at most 1"),
                        "give a share of the samples, such as 0.25");
  }
  const auto all = static_cast<std::int64_t>(whole_size());
  const auto count = std::max<std::int64_t>(1, std::llround(fraction.share * static_cast<double>(all)));
  if (count >= all) return;
  constexpr std::int64_t kFractionOrder = std::int64_t{1} << 40;  // an epoch that no run has
  kept = epoch_order(all, fraction.seed, kFractionOrder, true);
  kept.resize(static_cast<std::size_t>(count));
  std::sort(kept.begin(), kept.end());
}

Dataset::Dataset(const std::filesystem::path& file, const DataFraction& fraction)
    : state_(std::make_unique<State>(file)) {
  if (state_->size() == 0)
    throw invalid_input(cat(file.string(), ": the file has no samples"), "give a file with samples");
  state_->keep(fraction);
}

Dataset::~Dataset() = default;
Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&&) noexcept = default;

std::int64_t Dataset::size() const {
  return static_cast<std::int64_t>(state_->size());
}

std::int64_t Dataset::number(std::int64_t index) const {
  return static_cast<std::int64_t>(state_->in_file(index));
}

const std::filesystem::path& Dataset::file() const {
  return state_->path;
}

std::int64_t Dataset::line(std::int64_t index) const {
  const std::size_t sample = state_->in_file(index);
  if (state_->table) return static_cast<std::int64_t>(state_->table->row(sample)) + 1;
  return state_->index.samples.at(sample).line;
}

std::string Dataset::position(std::int64_t index) const {
  if (state_->table) return cat("row ", state_->table->row(state_->in_file(index)));
  return cat("line ", line(index));
}

std::string Dataset::place(std::int64_t index) const {
  const std::size_t sample = state_->in_file(index);
  const std::filesystem::path& file = state_->table ? state_->table->file(sample) : state_->path;
  return cat(file.string(), ": sample ", sample, " (", position(index), ")");
}

std::shared_ptr<const PictureSource> Dataset::pictures() const {
  return state_->table ? state_->table->pictures() : nullptr;
}

Record Dataset::read(std::int64_t index) const {
  const std::size_t sample = state_->in_file(index);
  if (state_->table) {
    std::string text(state_->table->length(sample), '\0');
    state_->table->read(sample, {text.data(), text.size()});
    return read_record(text, place(index));
  }
  const SampleRange& range = state_->index.samples.at(sample);
  std::string text(range.length, '\0');
  const std::size_t got = state_->file->read_at(range.begin, text.data(), range.length);
  const std::string_view bytes(text);
  const bool is_object = bytes.front() == '{' && bytes.back() == '}';
  if (got != range.length || (range.is_whole == 1 && !is_object)) {
    throw corrupt_data(cat(place(index), ": the file changed while it was being read"), "start again");
  }
  if (range.is_whole == 0) {
    const bool lines = state_->index.layout == DataLayout::kLines;
    throw BadSample(BadReason::kBrokenRecord,
                    cat(place(index), lines ? ": its line is not one whole JSON object: " : ": not an object but ",
                        shortened(bytes, kShownSample)),
                    "repair the sample, or leave it out");
  }
  return read_record(text, place(index));
}

}  // namespace striate
