// A block of a GPU's threads on the CPU: one fibre for each thread, with barriers, shuffles within a warp, and shared
// memory.
//
// One fibre runs at a time and goes on until it waits. The order in which they take their turns is a choice: a kernel
// that lacks a barrier gives other results in another order. Shared memory begins as bytes of 0xff, which are NaN.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace striate::emulated {

inline constexpr unsigned kWarp = 32;

enum class Order {
  kAscending,
  kDescending,
  kInterleaved,  // over the warps
  kWarpByWarp,   // the last warp first, each as far as it comes without the others
};
inline constexpr Order kOrders[] = {Order::kAscending, Order::kDescending, Order::kInterleaved, Order::kWarpByWarp};

class Block {
 public:
  // `threads` is a multiple of 32.
  Block(unsigned threads, Order order);
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // body() on every thread of block number `index`. Throws std::logic_error where threads wait for others that never
  // come: a barrier or a shuffle that some threads of the block or warp do not reach.
  void run(unsigned index, const std::function<void()>& body);

  // What the words of CUDA stand for, inside of body().
  static Block& current();
  unsigned thread() const { return running_; }
  unsigned index() const { return index_; }
  unsigned threads() const { return static_cast<unsigned>(fibres_.size()); }
  void barrier();
  // Gives the warp `bytes` of this thread at `value`, at most 8, and returns those of the thread `lane` of the warp.
  void exchange(void* value, std::size_t bytes, unsigned lane);
  // The block's array of that name: any address that the declaration alone has.
  void* shared(const void* name, std::size_t bytes);

 private:
  struct Fibre;
  enum class Wait { kReady, kBarrier, kShuffle, kEnded };

  static void enter();
  void pause(Wait why);
  void take_turns();
  void take_turn(unsigned thread);
  void advance_warp(unsigned first);
  bool release();
  bool release_warp(std::size_t first);
  bool all(std::size_t first, std::size_t last, Wait wait) const;
  std::string who_waits() const;

  std::vector<std::unique_ptr<Fibre>> fibres_;
  Order order_;
  unsigned running_ = 0;
  unsigned index_ = 0;
  const std::function<void()>* body_ = nullptr;
  std::map<const void*, std::vector<std::byte>> shared_;
};

}  // namespace striate::emulated
