// Where each sample of a file lies, found in one pass through it in blocks: the file is never in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace striate {

// The bytes of one sample.
struct SampleRange {
  std::uint64_t begin;         // of the opening brace, from the start of the file
  std::uint32_t length : 31;   // to the closing brace, included
  std::uint32_t is_whole : 1;  // 0: the text in place of a sample is not a complete object
  std::uint32_t line;          // from 1
};

enum class DataLayout { kArray, kLines };

struct SampleIndex {
  DataLayout layout = DataLayout::kArray;
  std::vector<SampleRange> samples;
};

// Fills a buffer with the next bytes of a file; fewer than asked for only at its end.
using BlockReader = std::function<std::size_t(std::span<char>)>;

// Finds the elements of a JSON array of objects, or the lines of JSON Lines: a file that begins with '[' is the one,
// with '{' the other (a byte order mark may stand before either). Brackets and strings are followed, the insides of
// samples are checked when a sample is read. `where` is what errors call the file.
//
// Once a first sample was found, what cannot shift the borders of the others spoils one sample and not the file: an
// element of the array that is not an object, and a line of JSON Lines whatever is wrong in it (`is_whole` is 0).
// Throws CorruptData, with line and byte, for the rest: another form (UTF-16, gzip, ...), in an array a string that
// its line does not close, brackets that do not match, text between the elements; an early end; a sample over 16 MB.
SampleIndex index_samples(const BlockReader& read, const std::string& where);

}  // namespace striate
