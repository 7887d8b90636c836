// A LLaVA data set: a JSON array of samples, or JSON Lines, read sample by sample where it lies.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "striate/data/bad_sample.h"
#include "striate/text/conversation.h"

namespace striate {

// One sample as the file has it.
struct Record {
  std::string id;                   // "" where the file gives none; a number as its digits
  std::vector<std::string> images;  // `image`: a string or a list of strings, as written; none for text alone
  std::vector<Message> turns;       // `conversations`
};

// An open data set: 16 bytes of memory a sample, whatever the file's size. It may be read from many threads.
class Dataset {
 public:
  // Reads the file through once, in blocks, to find where each sample begins (sample_index.h). Throws InvalidInput when
  // it cannot be read or holds no sample, CorruptData where its outer form is broken.
  explicit Dataset(const std::filesystem::path& file);
  ~Dataset();
  Dataset(Dataset&&) noexcept;
  Dataset& operator=(Dataset&&) noexcept;

  std::int64_t size() const;
  const std::filesystem::path& file() const;
  // Sample `index`, counted from 0. Throws BadSample (kBrokenRecord) where it is no JSON or not what LLaVA's samples
  // are, CorruptData when the file changed meanwhile.
  Record read(std::int64_t index) const;
  // "FILE: sample 17 (line 120)".
  std::string place(std::int64_t index) const;
  std::int64_t line(std::int64_t index) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace striate
