#include "striate/data/sample_check.h"

#include <algorithm>
#include <future>
#include <numeric>

#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::size_t kChunk = 16;        // samples one thread takes at a time
constexpr std::size_t kVisitRound = 512;  // samples in memory of a long visit

}  // namespace

CheckedSample check_sample(const Dataset& data, const SampleEncoder& encoder, PictureChecker& pictures,
                           std::int64_t index) {
  CheckedSample checked;
  checked.index = index;
  const std::string place = data.place(index);
  const auto refuse = [&](const BadSample& problem, const std::string& message) {
    checked.bad =
        SkippedSample{data.number(index), data.line(index), problem.reason(), checked.id, message, problem.hint()};
  };
  try {
    const Record record = data.read(index);
    checked.id = record.id;
    checked.form = record.form;
    checked.sample = encoder.encode(record, place);
  } catch (const BadSample& problem) {
    refuse(problem, problem.what());
    return checked;
  }
  try {
    for (const std::string& image : checked.sample.images) pictures.check(image);
  } catch (const BadSample& problem) {
    refuse(problem, cat(place, ": ", problem.what()));
  }
  return checked;
}

std::vector<CheckedSample> check_samples(const Dataset& data, const SampleEncoder& encoder, PictureChecker& pictures,
                                         WorkerPool& pool, const std::vector<std::int64_t>& indices) {
  std::vector<std::future<std::vector<CheckedSample>>> parts;
  for (std::size_t begin = 0; begin < indices.size(); begin += kChunk) {
    const auto first = indices.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = indices.begin() + static_cast<std::ptrdiff_t>(std::min(begin + kChunk, indices.size()));
    const std::vector<std::int64_t> part(first, last);
    parts.push_back(pool.submit(Urgency::kLater, [&data, &encoder, &pictures, part] {
      std::vector<CheckedSample> checked;
      for (const std::int64_t index : part) checked.push_back(check_sample(data, encoder, pictures, index));
      return checked;
    }));
  }
  // Every part is awaited before an exception leaves: they use what the caller may let go.
  for (const auto& part : parts) part.wait();
  std::vector<CheckedSample> all;
  for (auto& part : parts) {
    for (CheckedSample& checked : part.get()) all.push_back(std::move(checked));
  }
  return all;
}

void check_samples(const Dataset& data, const SampleEncoder& encoder, PictureChecker& pictures, WorkerPool& pool,
                   const std::vector<std::int64_t>& indices, const std::function<void(const CheckedSample&)>& visit) {
  for (std::size_t at = 0; at < indices.size(); at += kVisitRound) {
    const auto first = indices.begin() + static_cast<std::ptrdiff_t>(at);
    const auto last = indices.begin() + static_cast<std::ptrdiff_t>(std::min(at + kVisitRound, indices.size()));
    for (const CheckedSample& checked : check_samples(data, encoder, pictures, pool, {first, last})) visit(checked);
  }
}

void check_samples(const Dataset& data, const SampleEncoder& encoder, PictureChecker& pictures, WorkerPool& pool,
                   std::int64_t begin, std::int64_t end, const std::function<void(const CheckedSample&)>& visit) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(end - begin));
  std::iota(indices.begin(), indices.end(), begin);
  check_samples(data, encoder, pictures, pool, indices, visit);
}

std::string sample_name(const Dataset& data, std::int64_t index, const std::string& id) {
  return cat(id.empty() ? std::string() : cat("'", id, "', "), "sample ", data.number(index), " (",
             data.position(index), ")");
}

}  // namespace striate
