#include "striate/ranks/store_exchange.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

using Store = c10::intrusive_ptr<c10d::Store>;

// One exchange, shared by who waits for it and the thread that talks to the store.
struct Round {
  Store store;
  std::vector<std::string> keys;  // of every rank
  std::string old_key;            // of this rank and the round before; "": there was none
  std::size_t own = 0;            // which of the keys is this rank's
  std::string mine;

  std::mutex mutex;
  std::condition_variable changed;
  bool abandoned = false;
  bool failed = false;
  std::optional<std::vector<std::string>> texts;
};

// nullopt once nobody waits any longer.
std::optional<std::string> text_of(Round& round, const std::string& key) {
  constexpr std::chrono::microseconds kShort{200};
  constexpr std::chrono::microseconds kLong{20'000};
  for (std::chrono::microseconds nap = kShort; !round.store->check({key}); nap = std::min(2 * nap, kLong)) {
    std::unique_lock lock(round.mutex);
    if (round.changed.wait_for(lock, nap, [&] { return round.abandoned; })) return std::nullopt;
  }
  const std::vector<std::uint8_t> bytes = round.store->get(key);
  return std::string(bytes.begin(), bytes.end());
}

std::optional<std::vector<std::string>> talk(Round& round) {
  round.store->set(round.keys[round.own], round.mine);
  std::vector<std::string> texts;
  for (const std::string& key : round.keys) {
    const auto text = key == round.keys[round.own] ? round.mine : text_of(round, key);
    if (!text) return std::nullopt;
    texts.push_back(*text);
  }
  // Who has told this round has read the one before.
  if (!round.old_key.empty()) round.store->deleteKey(round.old_key);
  return texts;
}

void run(const std::shared_ptr<Round>& round) {
  std::optional<std::vector<std::string>> texts;
  bool failed = false;
  try {
    texts = talk(*round);
  } catch (const std::exception&) {
    failed = true;
  }
  const std::scoped_lock lock(round->mutex);
  round->texts = std::move(texts);
  round->failed = failed;
  round->changed.notify_all();
}

}  // namespace

StoreExchange::StoreExchange(c10::intrusive_ptr<c10d::Store> store, std::string name, int rank, int size,
                             std::function<std::optional<std::string>()> problem)
    : store_(std::move(store)), name_(std::move(name)), rank_(rank), size_(size), problem_(std::move(problem)) {}

std::vector<std::string> StoreExchange::all(const std::string& mine, const std::stop_token& stop) {
  const auto key = [this](std::int64_t round, int rank) { return cat("exchange/", name_, "/", round, "/", rank); };
  const auto round = std::make_shared<Round>();
  round->store = store_;
  for (int rank = 0; rank < size_; ++rank) round->keys.push_back(key(round_, rank));
  if (round_ > 0) round->old_key = key(round_ - 1, rank_);
  round->own = static_cast<std::size_t>(rank_);
  round->mine = mine;
  ++round_;
  std::thread([round] { run(round); }).detach();

  constexpr std::chrono::milliseconds kLook{20};
  std::unique_lock lock(round->mutex);
  while (!round->changed.wait_for(lock, kLook, [&] { return round->texts || round->failed; })) {
    const auto problem = problem_();
    if (!problem && !stop.stop_requested()) continue;
    round->abandoned = true;
    round->changed.notify_all();
    if (problem) throw resource_error(*problem, kOthersHint);
    throw resource_error("the run ended while the ranks exchanged results");
  }
  if (round->failed) {
    throw resource_error(problem_().value_or("the connection to rank 0 was lost: another rank has ended"), kOthersHint);
  }
  return std::move(*round->texts);
}

}  // namespace striate
