// Checking samples together with the other ranks: each reads and decodes its share, and all learn what each found.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "striate/data/sample_check.h"
#include "striate/ranks/rank_exchange.h"

namespace striate {

// As check_samples() of sample_check.h, for the same `indices` on every rank: every `ranks.size()`th of them is checked
// here. Of good samples that others checked, only the index, the counts of tokens and targets, and whether it was cut
// are known: complete_sample() makes the rest. Throws InvalidInput where the ranks do not speak of the same samples.
std::vector<CheckedSample> check_shared(const Dataset& data, const SampleEncoder& encoder, PictureChecker& pictures,
                                        WorkerPool& pool, const std::vector<std::int64_t>& indices, RankExchange& ranks,
                                        const std::stop_token& stop);

// The same a few at a time, as check_samples() of sample_check.h with `visit`.
void visit_shared(const Dataset& data, const SampleEncoder& encoder, PictureChecker& pictures, WorkerPool& pool,
                  const std::vector<std::int64_t>& indices, RankExchange& ranks,
                  const std::function<void(const CheckedSample&)>& visit);

// The tokens of every sample of the data, as SampleEncoder counts them; 0 of one whose text is bad. Pictures are not
// looked at. `ranks` share the work; null: this process does all of it. Throws InvalidInput where a rank tells of other
// samples.
std::vector<std::int64_t> token_counts(const Dataset& data, const SampleEncoder& encoder, WorkerPool& pool,
                                       RankExchange* ranks);

// Encodes sample `index` where another rank has checked it. Throws InvalidInput where it is not what that rank read.
void complete_sample(const Dataset& data, const SampleEncoder& encoder, std::int64_t index, EncodedSample& sample);

}  // namespace striate
