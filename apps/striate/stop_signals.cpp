#include "apps/striate/stop_signals.h"

#include <array>
#include <atomic>
#include <csignal>

namespace striate::app {
namespace {

// What a signal handler may reach lives as long as the program: the one thing here that cannot be a member.
std::atomic<StopFlag*> told = nullptr;
static_assert(std::atomic<StopFlag*>::is_always_lock_free);

constexpr std::array<int, 2> kStopping = {SIGINT, SIGTERM};

extern "C" void note_signal(int signal) {
  if (StopFlag* flag = told.load()) flag->ask(signal);
  std::signal(signal, SIG_DFL);  // the next one is not asked to wait
}

}  // namespace

StopSignals::StopSignals(StopFlag& flag) {
  told = &flag;
  for (const int signal : kStopping) std::signal(signal, note_signal);
}

StopSignals::~StopSignals() {
  for (const int signal : kStopping) std::signal(signal, SIG_DFL);
  told = nullptr;
}

}  // namespace striate::app
