// The ranges of flags' numbers. Every flag that takes a number gets one of these where it is declared, so that a number
// that no machine can serve is refused before anything is read: `->check(whole_number(1, kMostSteps))`.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace striate::app {

inline constexpr std::int64_t kMostSteps = 1'000'000'000;
inline constexpr std::int64_t kMostSamples = 1'000'000'000;  // of a data set
inline constexpr std::int64_t kMostBatch = 1 << 20;          // samples of one step
inline constexpr std::int64_t kMostTokens = 1 << 22;         // of a sample, a stream or an answer
inline constexpr std::int64_t kMostThreads = 1024;
inline constexpr std::int64_t kMostRank = 1 << 16;
inline constexpr std::int64_t kMostSeed = INT64_MAX;

// A whole number from `least` to `most`.
CLI::Validator whole_number(std::int64_t least, std::int64_t most);

// A number from `least` to `most`; never infinite, nor NaN, which every comparison lets through.
CLI::Validator number(double least, double most);

}  // namespace striate::app
