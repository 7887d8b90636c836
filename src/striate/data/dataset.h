// A data set of conversations: a JSON array of samples, JSON Lines, or Parquet, read sample by sample where it lies.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/data/bad_sample.h"
#include "striate/tables/picture_source.h"
#include "striate/text/conversation.h"

namespace striate {

// One sample as the file has it.
struct Record {
  std::string id;                   // "" where the file gives none; a value that is not a string is kept as written
  std::vector<std::string> images;  // names as written, in order; none for text alone
  std::vector<Message> turns;
  std::string form = {};             // "conversations with from and value"; "" where there are no turns
  std::string unread_pictures = {};  // the first field that is not read and may name pictures; "": none
};

// Some of a data set's samples: the first of an order by `seed` alone, so that of two fractions the smaller is part of
// the larger.
struct DataFraction {
  double share = 1;  // above 0, at most 1; at least one sample
  std::uint64_t seed = 0;
};

// An open data set: 16 bytes of memory a sample, whatever the file's size. It may be read from many threads.
class Dataset {
 public:
  // Reads the file through once, in blocks, to find where each sample begins (sample_index.h), or all that is text in
  // Parquet files (table_samples.h); a folder is the Parquet files in it. Of a fraction the samples stay in the file's
  // order and are counted from 0; places and lines are the file's. Throws InvalidInput when it cannot be read or holds
  // no sample and for an impossible fraction, CorruptData where its outer form is broken.
  explicit Dataset(const std::filesystem::path& file, const DataFraction& fraction = {});
  ~Dataset();
  Dataset(Dataset&&) noexcept;
  Dataset& operator=(Dataset&&) noexcept;

  std::int64_t size() const;
  // The number of sample `index` in the file, counted from 0: another one where the data set is a fraction of it.
  std::int64_t number(std::int64_t index) const;
  const std::filesystem::path& file() const;
  // Sample `index`, counted from 0 (record_reader.h). Throws BadSample (kBrokenRecord) where it is not JSON or in no
  // form that is read, CorruptData when the file changed meanwhile.
  Record read(std::int64_t index) const;
  // "FILE: sample 17 (line 120)".
  std::string place(std::int64_t index) const;
  // "line 120", or of Parquet "row 17", counted from 0.
  std::string position(std::int64_t index) const;
  // Counted from 1; of Parquet the row.
  std::int64_t line(std::int64_t index) const;
  // The pictures that lie in the data's own files; nullptr: there are none.
  std::shared_ptr<const PictureSource> pictures() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace striate
