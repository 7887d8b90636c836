#include "striate/data/shared_check.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "striate/base/json_file.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

using nlohmann::json;

constexpr std::size_t kRound = 512;  // samples of one rank in memory of a long visit

Error other_data(const Dataset& data, int rank) {
  return invalid_input(cat(data.file().string(), ": rank ", rank, " reads different samples from this rank"),
                       "every rank must see the same data file");
}

json summary_of(const CheckedSample& checked) {
  if (!checked.bad) {
    return {checked.index, checked.sample.tokens, checked.sample.targets, checked.sample.truncated};
  }
  const SkippedSample& bad = *checked.bad;
  return {checked.index, static_cast<int>(bad.reason), bad.line, bad.id, bad.message, bad.hint};
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
  checked.bad = SkippedSample{checked.index, summary.at(2), static_cast<BadReason>(summary.at(1).get<int>()),
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

}  // namespace

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
