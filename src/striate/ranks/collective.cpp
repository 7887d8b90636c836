#include "striate/ranks/collective.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/sha256.h"
#include "striate/base/strings.h"
#include "striate/ranks/backend.h"
#include "striate/ranks/meeting.h"
#include "striate/ranks/rank_watch.h"
#include "striate/ranks/store_exchange.h"
#include "striate/tensor/torch_errors.h"

namespace striate {
namespace {

using Clock = std::chrono::steady_clock;
using Store = c10::intrusive_ptr<c10d::Store>;

// Of LibTorch's own waits, far beyond any step: the watch notices sooner when a rank is gone.
constexpr std::chrono::hours kStep{24};
constexpr std::chrono::seconds kLeaving{4};  // how long rank 0 waits for the others to leave

class Done final : public Transfer {
 public:
  void wait() override {}
};

class SingleProcess final : public Collective {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void sum(const at::Tensor&) override {}
  std::unique_ptr<Transfer> begin_exchange(const at::Tensor& sent, const at::Tensor& received) override {
    received.copy_(sent);
    return std::make_unique<Done>();
  }
  std::unique_ptr<Transfer> begin_gather(const at::Tensor& own, const at::Tensor& all) override {
    all.copy_(own.view_as(all));
    return std::make_unique<Done>();
  }
  void wait_until(const std::function<bool()>&) override {}
  std::unique_ptr<RankExchange> open_exchange(const std::string&) override { return nullptr; }
  void report_failure(const std::string&) override {}
  void finish() override {}
};

// Never destroyed, but still referred to, so that tools which look for leaks know of it.
void leave_to_the_end(c10::intrusive_ptr<c10d::Backend> backend, c10::intrusive_ptr<c10d::Store> store) {
  static std::mutex mutex;
  static auto* const left =
      new std::vector<std::pair<c10::intrusive_ptr<c10d::Backend>, c10::intrusive_ptr<c10d::Store>>>;
  const std::lock_guard lock(mutex);
  left->emplace_back(std::move(backend), std::move(store));
}

class Group final : public Collective {
 public:
  Group(const Ranks& ranks, Meeting meeting)
      : ranks_(ranks),
        store_(std::move(meeting.store)),
        watch_(std::move(meeting.watch_store), ranks.rank, ranks.size,
               ranks.launcher_listens ? ranks.launcher : "rank 0") {}

  ~Group() override {
    // A broken group may have calls in flight that never end: its threads are left to the end of the process.
    if (broken_ || !finished_) leave_to_the_end(std::move(backend_), std::move(store_));
  }

  // Connects the ranks. LibTorch's calls do not end when a rank dies meanwhile: they are left to a thread of their own.
  void open(const MakeBackend& make_backend) {
    auto made = std::make_shared<std::promise<GroupBackend>>();
    std::future<GroupBackend> result = made->get_future();
    std::thread([made, make_backend, store = store_] {
      try {
        GroupBackend backend = make_backend(store);
        // NCCL connects with the first sum alone.
        std::vector<at::Tensor> first = {at::zeros({1}, at::TensorOptions(at::kFloat)).to(backend.device)};
        backend.backend->allreduce(first, {})->wait();
        made->set_value(std::move(backend));
      } catch (...) {
        made->set_exception(std::current_exception());
      }
    }).detach();
    guarded([&] {
      while (result.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) throw_problem();
      GroupBackend backend = result.get();
      backend_ = std::move(backend.backend);
      device_ = backend.device;
    });
  }

  int rank() const override { return ranks_.rank; }
  int size() const override { return ranks_.size; }

  using Collective::sum;

  void sum(const at::Tensor& tensor) override {
    if (!tensor.is_contiguous()) throw internal_error("a tensor with gaps was to be summed over ranks");
    constexpr std::int64_t kChunk = 1 << 24;  // numbers in flight at once: bounds the backend's own buffers
    const at::Tensor flat = tensor.view({-1});
    for (std::int64_t begin = 0; begin < flat.numel(); begin += kChunk) {
      sum_chunk(flat.narrow(0, begin, std::min(kChunk, flat.numel() - begin)));
    }
  }

  std::unique_ptr<Transfer> begin_exchange(const at::Tensor& sent, const at::Tensor& received) override {
    return begin(sent, received, [this](at::Tensor& from, at::Tensor& to) {
      std::vector<std::int64_t> even;  // empty: as many to each rank
      return backend_->alltoall_base(to, from, even, even, {});
    });
  }

  std::unique_ptr<Transfer> begin_gather(const at::Tensor& own, const at::Tensor& all) override {
    return begin(own, all,
                 [this](at::Tensor& from, at::Tensor& to) { return backend_->_allgather_base(to, from, {}); });
  }

  void wait_until(const std::function<bool()>& done) override {
    guarded([&] { nap_until(done); });
  }

  std::unique_ptr<RankExchange> open_exchange(const std::string& name) override {
    return std::make_unique<StoreExchange>(another_connection(ranks_), name, ranks_.rank, ranks_.size,
                                           [this] { return watch_.problem(); });
  }

  void report_failure(const std::string& message) override { watch_.report_failure(message); }

  void finish() override {
    barrier();
    watch_.stop();
    finished_ = true;
    // Rank 0 keeps the store that the others may still be talking to.
    constexpr const char* kLeft = "striate/left";
    store_->add(kLeft, 1);
    const Clock::time_point begin = Clock::now();
    while (ranks_.rank == 0 && store_->add(kLeft, 0) < ranks_.size && Clock::now() - begin < kLeaving) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

 private:
  class UnderWay final : public Transfer {
   public:
    UnderWay(Group& group, c10::intrusive_ptr<c10d::Work> work, at::Tensor there, at::Tensor here)
        : group_(group), work_(std::move(work)), there_(std::move(there)), here_(std::move(here)) {}
    void wait() override {
      group_.guarded([&] { group_.await(*work_, !here_.is_same(there_)); });
      if (!here_.is_same(there_)) here_.copy_(there_.view_as(here_));
    }

   private:
    Group& group_;
    c10::intrusive_ptr<c10d::Work> work_;
    at::Tensor there_, here_;  // the results on the backend's device, and where they are wanted
  };

  at::Tensor on_backend(const at::Tensor& tensor) const {
    return tensor.device() == device_ ? tensor : tensor.to(device_);
  }

  // Together with sum_chunk() the one place that hands tensors to the backend: always flat ones of its own device.
  template <typename Call>
  std::unique_ptr<Transfer> begin(const at::Tensor& given, const at::Tensor& results, const Call& call) {
    if (!given.is_contiguous() || !results.is_contiguous()) {
      throw internal_error("a tensor with gaps was to be exchanged between ranks");
    }
    at::Tensor from = on_backend(given).view({-1});
    const bool copied = results.device() != device_;
    at::Tensor to = (copied ? at::empty(results.sizes(), results.options().device(device_)) : results).view({-1});
    std::unique_ptr<Transfer> transfer;
    guarded([&] {
      throw_problem();
      transfer = std::make_unique<UnderWay>(*this, call(from, to), to, copied ? results : to);
    });
    return transfer;
  }

  void sum_chunk(const at::Tensor& part) {
    const bool copied = part.device() != device_;
    std::vector<at::Tensor> tensors = {on_backend(part)};
    guarded([&] { await(*backend_->allreduce(tensors, {}), copied); });
    if (copied) part.copy_(tensors.front());
  }

  // Until the call is done, or the group has a problem. A GPU's own calls are ordered on the GPU, and the host goes on,
  // unless it needs the results `here`.
  void await(c10d::Work& work, bool here) {
    throw_problem();
    if (device_.is_cpu() || here) {
      nap_until([&work] { return work.isCompleted(); });
    }
    work.wait();
  }

  void nap_until(const std::function<bool()>& done) const {
    constexpr std::chrono::microseconds kShort{20};
    constexpr std::chrono::microseconds kLong{1000};
    for (std::chrono::microseconds nap = kShort; !done(); nap = std::min(2 * nap, kLong)) {
      throw_problem();
      std::this_thread::sleep_for(nap);
    }
  }

  void throw_problem() const {
    if (const auto problem = watch_.problem()) throw resource_error(*problem, kOthersHint);
  }

  // Calls to the backend, whose own errors tell of a connection and not of the rank that broke it.
  template <typename Calls>
  void guarded(const Calls& calls) {
    try {
      calls();
    } catch (const std::exception& error) {
      broken_ = true;
      if (dynamic_cast<const Error*>(&error) != nullptr || ran_out_of_memory(error)) throw;
      const std::string reason =
          watch_.problem_behind_break().value_or("the connection between the ranks broke, but every rank is alive");
      std::throw_with_nested(resource_error(reason, kOthersHint));
    }
  }

  Ranks ranks_;
  Store store_;
  c10::intrusive_ptr<c10d::Backend> backend_;
  at::Device device_ = at::kCPU;
  RankWatch watch_;
  bool broken_ = false;
  bool finished_ = false;
};

// A text that all processes of this machine share, those in containers included, and no other machine has: the number
// that the kernel gave to its start or, where the system does not tell it, the machine's name.
std::string this_machine() {
  std::string boot;
  if (std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot) && !boot.empty()) return boot;
  std::array<char, 256> host{};
  return ::gethostname(host.data(), host.size() - 1) == 0 ? host.data() : "";
}

GroupBackend backend_for(at::Device device, const Store& store, const Ranks& ranks) {
  if (device.is_cuda() && has_nccl()) return {make_nccl(store, ranks.rank, ranks.size, kStep), device};
  return {make_gloo(store, ranks.rank, ranks.size, kStep), at::kCPU};
}

}  // namespace

void Collective::sum(std::span<double> values) {
  if (values.empty()) return;
  sum(at::from_blob(values.data(), {static_cast<std::int64_t>(values.size())}, at::TensorOptions(at::kDouble)));
}

void Collective::barrier() {
  double nothing = 0;
  sum(std::span(&nothing, 1));
}

bool Collective::agree(std::string_view text) {
  // Numbers that doubles hold and add exactly.
  const std::string digest = sha256_of(text);
  constexpr std::size_t kParts = 8;
  constexpr std::size_t kDigits = 8;
  std::vector<double> own(kParts);
  for (std::size_t i = 0; i < kParts; ++i) {
    own[i] = static_cast<double>(std::stoul(digest.substr(i * kDigits, kDigits), nullptr, 16));
  }
  std::vector<double> all = own;
  sum(all);
  // Where ranks differ, one of them may still be the mean.
  double different = 0;
  for (std::size_t i = 0; i < kParts; ++i) {
    if (all[i] != own[i] * size()) different = 1;
  }
  sum(std::span(&different, 1));
  return different == 0;
}

int Collective::ranks_here() {
  const std::unique_ptr<RankExchange> exchange = open_exchange("machines");
  if (!exchange) return 1;
  const std::string machine = this_machine();
  const std::vector<std::string> machines = exchange->all(machine, {});
  return static_cast<int>(std::count(machines.begin(), machines.end(), machine));
}

std::unique_ptr<Collective> join_ranks(const Ranks& ranks, at::Device device, const Notes& notes) {
  if (ranks.size == 1) return std::make_unique<SingleProcess>();
  return join_ranks(
      ranks, [device, ranks](const Store& store) { return backend_for(device, store, ranks); }, notes);
}

std::unique_ptr<Collective> join_ranks(const Ranks& ranks, const MakeBackend& make_backend, const Notes& notes) {
  auto group = std::make_unique<Group>(ranks, meet(ranks, notes));
  try {
    group->open(make_backend);
  } catch (const std::exception& error) {
    group->report_failure(explain(error).what());
    throw;
  }
  return group;
}

}  // namespace striate
