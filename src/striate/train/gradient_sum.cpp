#include "striate/train/gradient_sum.h"

#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <limits>

#include "striate/model/adapter_file.h"

namespace striate {
namespace {

// Transfers of one kind under way at once: while one is on its way, the next is filled.
constexpr std::size_t kUnderWay = 2;

// Decoder layer of a parameter: above all for the head and the last norm, below all for what comes before the decoder.
std::int64_t layer_of(const Parameter& parameter) {
  if (const auto split = split_layer_name(parameter.name)) return split->first;
  const bool on_top = parameter.name.starts_with("lm_head.") || parameter.name == "model.norm.weight";
  return on_top ? std::numeric_limits<std::int64_t>::max() : -1;
}

std::int64_t rows_of_bucket(std::int64_t bytes, int ranks) {
  return std::max<std::int64_t>(1, bytes / (ranks * BlockShare::kBlock * static_cast<std::int64_t>(sizeof(float))));
}

}  // namespace

GradientSum::GradientSum(const ParameterSet& parameters, Collective& ranks, std::int64_t bucket_bytes, at::Tensor own)
    : parameters_(parameters),
      ranks_(ranks),
      share_(parameters.count(), ranks.rank(), ranks.size()),
      own_(std::move(own)) {
  const std::int64_t row = share_.ranks() * BlockShare::kBlock;
  const std::int64_t rows = rows_of_bucket(bucket_bytes, share_.ranks());
  for (std::int64_t first = 0; first < share_.rows(); first += rows) {
    const std::int64_t last = std::min(share_.rows(), first + rows);
    Bucket bucket{first, last, std::numeric_limits<std::int64_t>::max()};
    std::int64_t end = 0;
    for (const auto& parameter : parameters.all()) {
      const std::int64_t begin = end;
      end += parameter->gradient.numel();
      if (begin < last * row && end > first * row) bucket.layer = std::min(bucket.layer, layer_of(*parameter));
    }
    buckets_.push_back(bucket);
  }
  std::reverse(buckets_.begin(), buckets_.end());  // the last layers' come first
  std::stable_sort(buckets_.begin(), buckets_.end(),
                   [](const Bucket& a, const Bucket& b) { return a.layer > b.layer; });
}

void GradientSum::begin() {
  started_ = 0;
  exchanges_.clear();
  gathers_.clear();
}

void GradientSum::passed(std::int64_t layer) {
  while (started_ < buckets_.size() && buckets_[started_].layer >= layer) start(buckets_[started_++]);
}

void GradientSum::finish() {
  passed(std::numeric_limits<std::int64_t>::min());
  while (!exchanges_.empty()) settle_exchange();
  while (!gathers_.empty()) settle_gather();
}

void GradientSum::start(const Bucket& bucket) {
  Moving moving{&bucket, share_.by_rank(parameters_.gradients(), bucket.first, bucket.last), {}, {}};
  moving.received = at::empty_like(moving.sent);
  moving.transfer = ranks_.begin_exchange(moving.sent, moving.received);
  exchanges_.push_back(std::move(moving));
  if (exchanges_.size() >= kUnderWay) settle_exchange();
}

// Adds up this rank's blocks of the oldest bucket.
void GradientSum::settle_exchange() {
  Moving moving = std::move(exchanges_.front());
  exchanges_.pop_front();
  moving.transfer->wait();
  at::Tensor sum = moving.received.select(0, 0);
  if (own_.defined()) {
    sum = own_.narrow(0, moving.bucket->first * BlockShare::kBlock, sum.numel());
    sum.copy_(moving.received.select(0, 0));
  }
  for (int rank = 1; rank < share_.ranks(); ++rank) sum.add_(moving.received.select(0, rank));
  if (own_.defined()) return;
  // What was sent has been read: its place takes everyone's sums.
  moving.transfer = ranks_.begin_gather(sum, moving.sent);
  gathers_.push_back(std::move(moving));
  if (gathers_.size() >= kUnderWay) settle_gather();
}

void GradientSum::settle_gather() {
  const Moving moving = std::move(gathers_.front());
  gathers_.pop_front();
  moving.transfer->wait();
  share_.into_vector(moving.sent, parameters_.gradients(), moving.bucket->first);
}

std::int64_t gradient_sum_bytes(std::int64_t count, int ranks, std::int64_t bucket_bytes) {
  if (ranks == 1) return 0;
  const std::int64_t row = ranks * BlockShare::kBlock * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t rows = (count * static_cast<std::int64_t>(sizeof(float)) + row - 1) / row;
  const std::int64_t bucket = std::min(rows, rows_of_bucket(bucket_bytes, ranks)) * row;
  return 2 * static_cast<std::int64_t>(kUnderWay + 1) * bucket;  // what is sent and what is received
}

}  // namespace striate
