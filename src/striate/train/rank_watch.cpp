#include "striate/train/rank_watch.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "striate/base/strings.h"

namespace striate {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kBeat{2};
constexpr double kSilence = 30;  // seconds after which a rank counts as dead
constexpr const char* kFailure = "striate/failure";

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

std::string beat_key(int rank) {
  return cat("striate/beat/", rank);
}

}  // namespace

// Shared with the thread, which may outlive the object.
struct RankWatch::State {
  c10::intrusive_ptr<c10d::Store> store;
  int rank = 0;
  int size = 1;

  mutable std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  bool ended = false;  // the thread touches nothing any more
  std::optional<std::string> problem;
  Clock::time_point last_round = Clock::now();
  std::string failure;  // of our own, to be told
  bool told = false;

  struct Seen {
    std::int64_t beats = -1;
    Clock::time_point when = Clock::now();
  };
  std::vector<Seen> others;
  std::thread thread;

  void run();
  // One round of calls to the store; what is wrong, if anything.
  std::optional<std::string> round();
  void tell_failure();
};

void RankWatch::State::tell_failure() {
  std::string message;
  {
    const std::lock_guard lock(mutex);
    if (failure.empty() || told) return;
    message = failure;
  }
  const std::string text = cat("rank ", rank, " has failed: ", message);
  store->set(kFailure, std::vector<std::uint8_t>(text.begin(), text.end()));
  const std::lock_guard lock(mutex);
  told = true;
  wake.notify_all();
}

std::optional<std::string> RankWatch::State::round() {
  tell_failure();
  store->add(beat_key(rank), 1);
  if (store->check({kFailure})) {
    const std::vector<std::uint8_t> text = store->get(kFailure);
    return std::string(text.begin(), text.end());
  }
  for (int other = 0; other < size; ++other) {
    if (other == rank) continue;
    Seen& seen = others[static_cast<std::size_t>(other)];
    const std::int64_t beats = store->add(beat_key(other), 0);
    if (beats != seen.beats) {
      seen = {beats, Clock::now()};
    } else if (seconds_since(seen.when) > kSilence) {
      return cat("rank ", other, " has shown no sign of life for ", static_cast<int>(seconds_since(seen.when)), " s");
    }
  }
  return std::nullopt;
}

void RankWatch::State::run() {
  while (true) {
    std::optional<std::string> found;
    try {
      found = round();
    } catch (const std::exception&) {
      found = "rank 0, through which the ranks find each other, has gone";
    }
    std::unique_lock lock(mutex);
    last_round = Clock::now();
    if (found && !stopping && !problem) problem = found;
    if (!stopping && !problem) {
      wake.wait_for(lock, kBeat, [this] { return stopping || (!failure.empty() && !told); });
    }
    if (stopping || problem) {
      ended = true;
      wake.notify_all();
      return;
    }
  }
}

RankWatch::RankWatch(c10::intrusive_ptr<c10d::Store> store, int rank, int size) : state_(std::make_shared<State>()) {
  state_->store = std::move(store);
  state_->rank = rank;
  state_->size = size;
  state_->others.resize(static_cast<std::size_t>(size));
  state_->thread = std::thread([state = state_] { state->run(); });
}

RankWatch::~RankWatch() {
  stop();
  constexpr std::chrono::seconds kPatience{3};
  std::unique_lock lock(state_->mutex);
  const bool ended = state_->wake.wait_for(lock, kPatience, [this] { return state_->ended; });
  lock.unlock();
  if (ended) {
    state_->thread.join();
  } else {
    state_->thread.detach();  // in a call to a store that does not answer
  }
}

std::optional<std::string> RankWatch::problem() const {
  const std::lock_guard lock(state_->mutex);
  if (state_->problem) return state_->problem;
  if (!state_->stopping && seconds_since(state_->last_round) > kSilence) return "rank 0 does not answer";
  return std::nullopt;
}

void RankWatch::report_failure(const std::string& message) {
  std::unique_lock lock(state_->mutex);
  if (state_->problem || state_->stopping) return;
  state_->failure = message.empty() ? "unknown" : message;
  state_->wake.notify_all();
  constexpr std::chrono::seconds kPatience{5};
  state_->wake.wait_for(lock, kPatience, [this] { return state_->told; });
}

void RankWatch::stop() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->wake.notify_all();
}

}  // namespace striate
