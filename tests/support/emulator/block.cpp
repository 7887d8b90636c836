#include "tests/support/emulator/block.h"

#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

namespace striate::emulated {
namespace {

constexpr std::size_t kStack = std::size_t{128} << 10;

Block* current_block = nullptr;
ucontext_t scheduler;

}  // namespace

struct Block::Fibre {
  ucontext_t context{};
  std::unique_ptr<std::byte[]> stack{new std::byte[kStack]};
  Wait wait = Wait::kEnded;
  std::array<std::byte, 8> given{};  // at this shuffle
  std::array<std::byte, 8> shown{};  // to the others, once all of the warp have given
};

Block::Block(unsigned threads, Order order) : order_(order) {
  if (threads == 0 || threads % kWarp != 0) throw std::logic_error("a block has whole warps");
  for (unsigned i = 0; i < threads; ++i) fibres_.push_back(std::make_unique<Fibre>());
}

Block::~Block() = default;

Block& Block::current() {
  return *current_block;
}

void Block::enter() {
  Block& block = current();
  (*block.body_)();
  block.pause(Wait::kEnded);
}

void Block::run(unsigned index, const std::function<void()>& body) {
  index_ = index;
  body_ = &body;
  shared_.clear();
  current_block = this;
  for (const auto& fibre : fibres_) {
    ::getcontext(&fibre->context);
    fibre->context.uc_stack.ss_sp = fibre->stack.get();
    fibre->context.uc_stack.ss_size = kStack;
    fibre->context.uc_link = nullptr;  // a fibre ends in pause()
    ::makecontext(&fibre->context, &Block::enter, 0);
    fibre->wait = Wait::kReady;
  }
  const auto ended = [](const auto& fibre) { return fibre->wait == Wait::kEnded; };
  while (true) {
    take_turns();
    if (std::all_of(fibres_.begin(), fibres_.end(), ended)) break;
    if (!release()) throw std::logic_error("the threads wait for each other: " + who_waits());
  }
  current_block = nullptr;
}

void Block::take_turns() {
  const auto count = static_cast<unsigned>(fibres_.size());
  const unsigned warps = count / kWarp;
  if (order_ == Order::kWarpByWarp) {
    for (unsigned warp = warps; warp-- > 0;) advance_warp(warp * kWarp);
    return;
  }
  for (unsigned turn = 0; turn < count; ++turn) {
    const unsigned interleaved = turn % warps * kWarp + (turn / warps * 7) % kWarp;
    take_turn(order_ == Order::kAscending ? turn : order_ == Order::kDescending ? count - 1 - turn : interleaved);
  }
}

void Block::take_turn(unsigned thread) {
  running_ = thread;
  Fibre& fibre = *fibres_[thread];
  if (fibre.wait == Wait::kReady) ::swapcontext(&scheduler, &fibre.context);
}

void Block::advance_warp(unsigned first) {
  do {
    for (unsigned lane = 0; lane < kWarp; ++lane) take_turn(first + lane);
  } while (release_warp(first));
}

bool Block::all(std::size_t first, std::size_t last, Wait wait) const {
  for (std::size_t i = first; i < last; ++i) {
    if (fibres_[i]->wait != wait) return false;
  }
  return true;
}

// Lets a warp go whose lanes have all given what they shuffle.
bool Block::release_warp(std::size_t first) {
  if (!all(first, first + kWarp, Wait::kShuffle)) return false;
  for (std::size_t i = first; i < first + kWarp; ++i) {
    fibres_[i]->shown = fibres_[i]->given;
    fibres_[i]->wait = Wait::kReady;
  }
  return true;
}

// Lets go those whose company is complete. False: there are none.
bool Block::release() {
  bool released = all(0, fibres_.size(), Wait::kBarrier);
  if (released) {
    for (const auto& fibre : fibres_) fibre->wait = Wait::kReady;
  }
  for (std::size_t first = 0; first < fibres_.size(); first += kWarp) released = release_warp(first) || released;
  return released;
}

std::string Block::who_waits() const {
  const auto in = [this](Wait wait) {
    return std::to_string(
        std::count_if(fibres_.begin(), fibres_.end(), [wait](const auto& fibre) { return fibre->wait == wait; }));
  };
  return in(Wait::kBarrier) + " at a barrier, " + in(Wait::kShuffle) + " at a shuffle, " + in(Wait::kEnded) +
         " have ended";
}

void Block::pause(Wait why) {
  Fibre& fibre = *fibres_[running_];
  fibre.wait = why;
  ::swapcontext(&fibre.context, &scheduler);
}

void Block::barrier() {
  pause(Wait::kBarrier);
}

void Block::exchange(void* value, std::size_t bytes, unsigned lane) {
  const unsigned self = running_;
  std::memcpy(fibres_[self]->given.data(), value, bytes);
  pause(Wait::kShuffle);
  std::memcpy(value, fibres_[self / kWarp * kWarp + lane]->shown.data(), bytes);
}

void* Block::shared(const void* name, std::size_t bytes) {
  const auto [place, made] = shared_.try_emplace(name);
  if (made) place->second.assign(bytes, std::byte{0xFF});
  return place->second.data();
}

}  // namespace striate::emulated
