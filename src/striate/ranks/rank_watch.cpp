#include "striate/ranks/rank_watch.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "striate/base/elapsed.h"
#include "striate/base/strings.h"
#include "striate/ranks/store_text.h"

namespace striate {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBeat{500};
constexpr double kSilence = 30;  // seconds after which a rank counts as dead
constexpr double kGone = 2.5;    // the same, once a connection to a rank has broken
constexpr std::chrono::seconds kFinding{8};
constexpr std::chrono::seconds kHearing{3};
constexpr const char* kFailure = "striate/failure";
constexpr const char* kHeard = "striate/heard";

std::string beat_key(int rank) {
  return cat("striate/beat/", rank);
}

}  // namespace

// Shared with the thread, which may outlive the object.
struct RankWatch::State {
  c10::intrusive_ptr<c10d::Store> store;
  int rank = 0;
  int size = 1;
  std::string keeper;

  mutable std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  bool ended = false;   // the thread touches nothing any more
  bool broken = false;  // a connection to a rank
  std::optional<std::string> problem;
  Clock::time_point last_round = Clock::now();
  std::string failure;  // of our own, to be told
  bool told = false;

  struct Other {
    int rank = 0;
    std::vector<std::uint8_t> beats;
    Clock::time_point when = Clock::now();  // its last sign of life
  };
  std::vector<Other> others;
  std::thread thread;

  void run();
  // The first round's: every rank's beats are there to be read.
  void begin();
  // One round of calls to the store; what is wrong, if anything.
  std::optional<std::string> round();
  void look_at_others();
  std::optional<std::string> silent_one() const;
  // What the first rank with something to tell has told.
  std::string tell(const std::string& text);
  bool keeps_store() const { return rank == 0 && keeper == "rank 0"; }
  void wait_until_heard();
};

std::string RankWatch::State::tell(const std::string& text) {
  const std::string first = store_text(store->compareSet(kFailure, {}, store_bytes(text)));
  const std::lock_guard lock(mutex);
  told = true;
  wake.notify_all();
  return first;
}

void RankWatch::State::begin() {
  for (const Other& other : others) store->add(beat_key(other.rank), 0);
}

void RankWatch::State::look_at_others() {
  std::vector<std::string> keys;
  for (const Other& other : others) keys.push_back(beat_key(other.rank));
  const std::vector<std::vector<std::uint8_t>> beats = store->multiGet(keys);
  const std::lock_guard lock(mutex);
  for (std::size_t i = 0; i < others.size(); ++i) {
    if (beats[i] == others[i].beats) continue;
    others[i].beats = beats[i];
    others[i].when = Clock::now();
  }
}

std::optional<std::string> RankWatch::State::silent_one() const {
  const std::lock_guard lock(mutex);
  const auto longest =
      std::min_element(others.begin(), others.end(), [](const Other& a, const Other& b) { return a.when < b.when; });
  if (longest == others.end()) return std::nullopt;
  const double silence = seconds_since(longest->when);
  if (broken && silence > kGone) return cat("rank ", longest->rank, " has ended");
  if (silence <= kSilence) return std::nullopt;
  return cat("rank ", longest->rank, " has shown no sign of life for ", static_cast<int>(silence), " s");
}

std::optional<std::string> RankWatch::State::round() {
  std::string own;
  {
    const std::lock_guard lock(mutex);
    if (!told) own = failure;
  }
  if (!own.empty()) tell(cat("rank ", rank, " has failed: ", own));
  store->add(beat_key(rank), 1);
  std::optional<std::string> found;
  if (store->check({kFailure})) {
    found = store_text(store->get(kFailure));
  } else {
    look_at_others();
    if (const auto silent = silent_one()) found = tell(*silent);
  }
  if (found) store->add(kHeard, 1);
  return found;
}

void RankWatch::State::run() {
  bool first = true;
  while (true) {
    std::optional<std::string> found;
    try {
      if (first) begin();
      first = false;
      found = round();
    } catch (const std::exception&) {
      found = keeper + " has ended";
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

void RankWatch::State::wait_until_heard() {
  std::int64_t live = 1;  // this rank's own thread hears it too
  {
    const std::lock_guard lock(mutex);
    for (const Other& other : others) live += seconds_since(other.when) < kGone ? 1 : 0;
  }
  const Clock::time_point begin = Clock::now();
  try {
    while (Clock::now() - begin < kHearing && store->add(kHeard, 0) < live) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  } catch (const std::exception&) {
    // The store does not answer: nobody can hear anything there.
  }
}

RankWatch::RankWatch(c10::intrusive_ptr<c10d::Store> store, int rank, int size, std::string keeper)
    : state_(std::make_shared<State>()) {
  state_->store = std::move(store);
  state_->rank = rank;
  state_->size = size;
  state_->keeper = std::move(keeper);
  for (int other = 0; other < size; ++other) {
    if (other != rank) state_->others.push_back({other, {}, Clock::now()});
  }
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
  if (!state_->stopping && seconds_since(state_->last_round) > kSilence) return state_->keeper + " does not answer";
  return std::nullopt;
}

std::optional<std::string> RankWatch::problem_behind_break() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->broken = true;
  }
  const Clock::time_point begin = Clock::now();
  while (Clock::now() - begin < kFinding) {
    if (const auto found = problem()) return found;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return std::nullopt;
}

void RankWatch::report_failure(const std::string& message) {
  std::unique_lock lock(state_->mutex);
  if (state_->stopping) return;
  if (!state_->problem) {
    state_->failure = message.empty() ? "unknown" : message;
    state_->wake.notify_all();
    constexpr std::chrono::seconds kPatience{5};
    state_->wake.wait_for(lock, kPatience, [this] { return state_->told || state_->ended; });
  }
  lock.unlock();
  if (state_->keeps_store()) state_->wait_until_heard();
}

void RankWatch::stop() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->wake.notify_all();
}

}  // namespace striate
