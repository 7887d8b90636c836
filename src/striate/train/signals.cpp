#include "striate/train/signals.h"

#include <array>
#include <atomic>
#include <csignal>

namespace striate {
namespace {

// What a signal handler may write to lives as long as the program: the one thing here that cannot be a member.
std::atomic<int> arrived = 0;
static_assert(std::atomic<int>::is_always_lock_free);

constexpr std::array<int, 2> kSignals = {SIGINT, SIGTERM};

extern "C" void note_signal(int signal) {
  arrived = signal;
  std::signal(signal, SIG_DFL);  // the next one is not asked to wait
}

}  // namespace

StopRequest::StopRequest() {
  arrived = 0;
  for (const int signal : kSignals) std::signal(signal, note_signal);
}

StopRequest::~StopRequest() {
  for (const int signal : kSignals) std::signal(signal, SIG_DFL);
}

int StopRequest::signal() const {
  return arrived;
}

}  // namespace striate
