#include "striate/data/shared_check.h"

#include <algorithm>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>

#include "striate/base/json_file.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

using nlohmann::json;

constexpr std::size_t kRound = 512;           // samples of one rank in memory of a long visit
constexpr std::size_t kCountedRound = 16384;  // samples of one rank between two exchanges of counts
constexpr std::size_t kCounted = 64;          // samples that a thread counts at a time

Error other_data(const Dataset& data, int rank) {
  return invalid_input(cat(data.file().string(), ": rank ", rank, " reads different samples from this rank"),
                       "every rank must see the same data file");
}

json summary_of(const CheckedSample& checked) {
  if (!checked.bad) {
    return {checked.index, checked.sample.tokens, checked.sample.targets, checked.sample.truncated};
  }
  const SkippedSample& bad = *checked.bad;
  return {checked.index, static_cast<int>(bad.reason), bad.line, bad.id, bad.message, bad.hint, bad.number};
}

std::string summary_text(const std::vector<CheckedSample>& own) {
  json list = json::array();
  for (const CheckedSample& checked : own) list.push_back(summary_of(checked));
  return json_text(list);
}

CheckedSample checked_of(const json& summary) {
  constexpr std::size_t kOfGood = 4;
  CheckedSample checked;
  checked.index = summary.at(0);
  if (summary.size() == kOfGood) {
    checked.sample.tokens = summary.at(1);
    checked.sample.targets = summary.at(2);
    checked.sample.truncated = summary.at(3);
    return checked;
  }
  checked.id = summary.at(3);
  checked.bad = SkippedSample{summary.at(6), summary.at(2), static_cast<BadReason>(summary.at(1).get<int>()),
                              checked.id,    summary.at(4), summary.at(5)};
  return checked;
}

// What a rank tells of the samples it checked.
std::vector<CheckedSample> told(const std::string& text, const Dataset& data, int rank) {
  std::vector<CheckedSample> all;
  const auto list = try_parse_json(text);
  if (!list) throw other_data(data, rank);
  for (const json& summary : *list) all.push_back(checked_of(summary));
  return all;
}

std::vector<std::int64_t> counts_of(const Dataset& data, const SampleEncoder& encoder,
                                    const std::vector<std::int64_t>& indices) {
  std::vector<std::int64_t> counts;
  for (const std::int64_t index : indices) {
    try {
      counts.push_back(encoder.encode(data.read(index), {}).tokens);
    } catch (const BadSample&) {  // it is told when its turn comes
      counts.push_back(0);
    }
  }
  return counts;
}

// The same on the pool's threads.
std::vector<std::int64_t> pooled_counts(const Dataset& data, const SampleEncoder& encoder, WorkerPool& pool,
                                        const std::vector<std::int64_t>& indices) {
  std::vector<std::future<std::vector<std::int64_t>>> parts;
  for (std::size_t begin = 0; begin < indices.size(); begin += kCounted) {
    const auto first = indices.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = indices.begin() + static_cast<std::ptrdiff_t>(std::min(begin + kCounted, indices.size()));
    parts.push_back(pool.submit(Urgency::kLater, [&data, &encoder, part = std::vector<std::int64_t>(first, last)] {
      return counts_of(data, encoder, part);
    }));
  }
  // Every part is awaited before an exception leaves: they use what the caller may let go.
  for (const auto& part : parts) part.wait();
  std::vector<std::int64_t> all;
  for (auto& part : parts) {
    const std::vector<std::int64_t> counts = part.get();
    all.insert(all.end(), counts.begin(), counts.end());
  }
  return all;
}

// What a rank tells of so many samples.
std::vector<std::int64_t> told_counts(const std::string& text, std::size_t count, const Dataset& data, int rank) {
  const auto list = try_parse_json(text);
  if (!list || !list->is_array() || list->size() != count) throw other_data(data, rank);
  std::vector<std::int64_t> counts;
  for (const json& each : *list) {
    if (!each.is_number_integer()) throw other_data(data, rank);
    counts.push_back(each.get<std::int64_t>());
  }
  return counts;
}

}  // namespace

std::vector<std::int64_t> token_counts(const Dataset& data, const SampleEncoder& encoder, WorkerPool& pool,
                                       RankExchange* ranks) {
  const int size = ranks == nullptr ? 1 : ranks->size();
  const std::int64_t round = static_cast<std::int64_t>(kCountedRound) * size;
  std::vector<std::int64_t> counts(static_cast<std::size_t>(data.size()), 0);
  for (std::int64_t begin = 0; begin < data.size(); begin += round) {
    const std::int64_t end = std::min(begin + round, data.size());
    // Rank r has every size-th sample from the r-th on.
    std::vector<std::vector<std::int64_t>> shares(static_cast<std::size_t>(size));
    for (std::int64_t i = begin; i < end; ++i) shares[static_cast<std::size_t>((i - begin) % size)].push_back(i);
    const auto own = static_cast<std::size_t>(ranks == nullptr ? 0 : ranks->rank());
    std::vector<std::vector<std::int64_t>> parts(shares.size());
    parts[own] = pooled_counts(data, encoder, pool, shares[own]);
    if (ranks != nullptr) {
      const std::vector<std::string> texts = ranks->all(json_text(json(parts[own])), {});
      for (std::size_t rank = 0; rank < parts.size(); ++rank) {
        if (rank == own) continue;
        parts[rank] = told_counts(texts.at(rank), shares[rank].size(), data, static_cast<int>(rank));
      }
    }
    for (std::size_t rank = 0; rank < parts.size(); ++rank) {
      for (std::size_t i = 0; i < shares[rank].size(); ++i) {
        counts[static_cast<std::size_t>(shares[rank][i])] = parts[rank][i];
      }
    }
  }
  return counts;
}

std::vector<CheckedSample> check_shared(const Dataset& data, const SampleEncoder& encoder, PictureChecker& pictures,
                                        WorkerPool& pool, const std::vector<std::int64_t>& indices, RankExchange& ranks,
                                        const std::stop_token& stop) {
  const auto size = static_cast<std::size_t>(ranks.size());
  std::vector<std::int64_t> share;
  for (auto i = static_cast<std::size_t>(ranks.rank()); i < indices.size(); i += size) share.push_back(indices[i]);
  std::vector<CheckedSample> own = check_samples(data, encoder, pictures, pool, share);
  const std::vector<std::string> texts = ranks.all(summary_text(own), stop);
  std::vector<std::vector<CheckedSample>> parts;
  for (int rank = 0; rank < ranks.size(); ++rank) {
    parts.push_back(rank == ranks.rank() ? std::move(own) : told(texts.at(static_cast<std::size_t>(rank)), data, rank));
  }
  std::vector<CheckedSample> all;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    std::vector<CheckedSample>& part = parts[i % size];
    if (i / size >= part.size() || part[i / size].index != indices[i]) {
      throw other_data(data, static_cast<int>(i % size));
    }
    all.push_back(std::move(part[i / size]));
  }
  return all;
}

void visit_shared(const Dataset& data, const SampleEncoder& encoder, PictureChecker& pictures, WorkerPool& pool,
                  const std::vector<std::int64_t>& indices, RankExchange& ranks,
                  const std::function<void(const CheckedSample&)>& visit) {
  const std::size_t round = kRound * static_cast<std::size_t>(ranks.size());
  for (std::size_t at = 0; at < indices.size(); at += round) {
    const auto first = indices.begin() + static_cast<std::ptrdiff_t>(at);
    const auto last = indices.begin() + static_cast<std::ptrdiff_t>(std::min(at + round, indices.size()));
    for (const CheckedSample& checked : check_shared(data, encoder, pictures, pool, {first, last}, ranks, {})) {
      visit(checked);
    }
  }
}

void complete_sample(const Dataset& data, const SampleEncoder& encoder, std::int64_t index, EncodedSample& sample) {
  if (!sample.input_ids.empty()) return;
  const EncodedSample encoded = encoder.encode(data.read(index), data.place(index));
  if (encoded.tokens != sample.tokens || encoded.targets != sample.targets) {
    throw invalid_input(cat(data.place(index), ": another rank reads a different text here"),
                        "every rank must see the same data file");
  }
  sample = encoded;
}

}  // namespace striate
