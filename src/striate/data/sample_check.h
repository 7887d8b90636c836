// Reading and checking samples with several threads.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "striate/data/dataset.h"
#include "striate/data/picture_folder.h"
#include "striate/data/sample_encoder.h"
#include "striate/data/worker_pool.h"

namespace striate {

// A sample that cannot be trained on.
struct SkippedSample {
  std::int64_t number = 0;  // in the file (Dataset::number)
  std::int64_t line = 0;
  BadReason reason = BadReason::kBrokenRecord;
  std::string id;       // "" where it is not known
  std::string message;  // names file, sample and place
  std::string hint;     // what to do about it
};

// A sample, or why it is bad.
struct CheckedSample {
  std::int64_t index = 0;  // in the data set
  std::string id;
  std::string form;      // as Record's; "" where the record cannot be read
  EncodedSample sample;  // of a good one
  std::optional<SkippedSample> bad;
};

// Reads, encodes and checks a sample, pictures included: they are decoded to their last pixel, once each.
CheckedSample check_sample(const Dataset& data, const SampleEncoder& encoder, PictureChecker& pictures,
                           std::int64_t index);

// The same for each of `indices`, on the pool's threads, in their order.
std::vector<CheckedSample> check_samples(const Dataset& data, const SampleEncoder& encoder, PictureChecker& pictures,
                                         WorkerPool& pool, const std::vector<std::int64_t>& indices);

// The same a few at a time, so that memory does not grow with their number: `visit` sees one after another, in order,
// on the calling thread. What it throws ends the visit.
void check_samples(const Dataset& data, const SampleEncoder& encoder, PictureChecker& pictures, WorkerPool& pool,
                   const std::vector<std::int64_t>& indices, const std::function<void(const CheckedSample&)>& visit);
// The same for samples [begin, end).
void check_samples(const Dataset& data, const SampleEncoder& encoder, PictureChecker& pictures, WorkerPool& pool,
                   std::int64_t begin, std::int64_t end, const std::function<void(const CheckedSample&)>& visit);

// "'id', sample 17 (line 120)", for people.
std::string sample_name(const Dataset& data, std::int64_t index, const std::string& id);

}  // namespace striate
