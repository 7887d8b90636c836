#include "striate/train/collective.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/train/backend.h"
#include "striate/train/rank_watch.h"

namespace striate {
namespace {

using Clock = std::chrono::steady_clock;
using Store = c10::intrusive_ptr<c10d::Store>;

constexpr std::chrono::minutes kMeeting{5};
// Far beyond any step: the watch notices sooner when a rank is gone.
constexpr std::chrono::hours kStep{24};
constexpr std::chrono::seconds kReason{4};  // how long to wait for the reason of a broken connection
constexpr const char* kHint = "its own messages say why; then start the same command again with --resume";

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

class SingleProcess final : public Collective {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void sum(const at::Tensor&) override {}
  void barrier() override {}
  void report_failure(const std::string&) override {}
  void finish() override {}
};

class Group final : public Collective {
 public:
  Group(const Ranks& ranks, Store store, Store watch_store, c10::intrusive_ptr<c10d::Backend> backend, bool on_host)
      : ranks_(ranks),
        store_(std::move(store)),
        backend_(std::move(backend)),
        watch_(std::move(watch_store), ranks.rank, ranks.size),
        on_host_(on_host) {}

  ~Group() override {
    // A broken group may have calls in flight that never end: its threads are left to the end of the process.
    if (broken_ || !finished_) {
      backend_.release();
      store_.release();
    }
  }

  int rank() const override { return ranks_.rank; }
  int size() const override { return ranks_.size; }

  void sum(const at::Tensor& tensor) override {
    constexpr std::int64_t kChunk = 1 << 24;  // numbers in flight at once: bounds the backend's own buffers
    const at::Tensor flat = tensor.view({-1});
    for (std::int64_t begin = 0; begin < flat.numel(); begin += kChunk) {
      sum_chunk(flat.narrow(0, begin, std::min(kChunk, flat.numel() - begin)));
    }
  }

  void barrier() override { sum(at::zeros({1}, at::TensorOptions(at::kFloat))); }

  void report_failure(const std::string& message) override { watch_.report_failure(message); }

  void finish() override {
    barrier();
    watch_.stop();
    finished_ = true;
    // Rank 0 keeps the store that the others may still be talking to.
    constexpr const char* kLeft = "striate/left";
    store_->add(kLeft, 1);
    const Clock::time_point begin = Clock::now();
    while (ranks_.rank == 0 && store_->add(kLeft, 0) < ranks_.size && Clock::now() - begin < kReason) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

 private:
  void sum_chunk(const at::Tensor& part) {
    const bool copied = on_host_ && !part.is_cpu();
    std::vector<at::Tensor> tensors = {copied ? part.cpu() : part};
    try {
      await(*backend_->allreduce(tensors, {}));
    } catch (const Error&) {
      broken_ = true;
      throw;
    } catch (const std::exception& error) {
      broken_ = true;
      throw resource_error(reason_of(error), kHint);
    }
    if (copied) part.copy_(tensors.front());
  }

  // Until the call is done, or the group has a problem.
  void await(c10d::Work& work) {
    constexpr std::chrono::microseconds kShort{20};
    constexpr std::chrono::microseconds kLong{1000};
    for (std::chrono::microseconds nap = kShort; !work.isCompleted(); nap = std::min(2 * nap, kLong)) {
      if (const auto problem = watch_.problem()) throw resource_error(*problem, kHint);
      std::this_thread::sleep_for(nap);
    }
    work.wait();
  }

  // A connection that broke says less than the rank that broke it, which may have told the watch.
  std::string reason_of(const std::exception& error) const {
    const Clock::time_point begin = Clock::now();
    while (Clock::now() - begin < kReason) {
      if (const auto problem = watch_.problem()) return *problem;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return cat("another rank has ended: ", first_line(error.what()));
  }

  Ranks ranks_;
  Store store_;
  c10::intrusive_ptr<c10d::Backend> backend_;
  RankWatch watch_;
  bool on_host_;
  bool broken_ = false;
  bool finished_ = false;
};

Store open_store(const Ranks& ranks, bool listens) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(ranks.port);
  options.isServer = listens;
  options.waitWorkers = false;
  options.timeout = kMeeting;
  Store store = c10::make_intrusive<c10d::TCPStore>(ranks.address, options);
  if (!ranks.prefix.empty()) store = c10::make_intrusive<c10d::PrefixStore>(ranks.prefix, store);
  return c10::make_intrusive<c10d::PrefixStore>("striate", store);
}

}  // namespace

std::unique_ptr<Collective> join_ranks(const Ranks& ranks, at::Device device) {
  if (ranks.size == 1) return std::make_unique<SingleProcess>();
  const std::string where =
      cat("rank ", ranks.rank, " of ", ranks.size, ", meeting at ", ranks.address, ":", ranks.port);
  try {
    Store store = open_store(ranks, ranks.rank == 0 && !ranks.launcher_listens);
    const bool nccl = device.is_cuda() && has_nccl();
    auto backend =
        nccl ? make_nccl(store, ranks.rank, ranks.size, kStep) : make_gloo(store, ranks.rank, ranks.size, kStep);
    return std::make_unique<Group>(ranks, store, open_store(ranks, false), std::move(backend), !nccl);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw resource_error(cat(where, ": ", first_line(error.what())),
                         "are all ranks started, with the same MASTER_ADDR and a free MASTER_PORT?");
  }
}

}  // namespace striate
