// Reading what a file of weights claims to hold.
#pragma once

#include "striate/files/gguf_reader.h"
#include "striate/files/weight_file.h"

namespace striate::fuzz {

// Every byte of every tensor; of views that repeat bytes, which may be astronomically large, the first ones.
void read_all(const WeightFile& file);
void read_all(const GgufFile& file);

}  // namespace striate::fuzz
