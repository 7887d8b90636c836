// How far a long job is: a bar with rate and time left on a terminal, a plain line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace striate {

// What a line of progress says.
struct ProgressState {
  std::string label;
  std::uint64_t done = 0;
  std::uint64_t total = 0;   // 0: not known
  std::string unit;          // "B" shows bytes; else it follows the counts ("samples"); may be empty
  double seconds = 0;        // since the start
  std::uint64_t before = 0;  // of `done`, what an earlier run had done: no part of the rate
  std::string note = {};     // shown at the end of the line; may be empty
};

// "Reading  42% [########            ]  5.67 GB of 13.5 GB  1.20 GB/s  7 s left"; the bar on request only.
std::string progress_text(const ProgressState& state, bool bar);

// "7 s", "3 min 20 s", "2 h 05 min".
std::string human_duration(double seconds);

struct ProgressOptions {
  std::string unit;
  // Where it is shown, and how; by default standard error, as a bar when that is a terminal.
  std::function<void(std::string_view)> write;
  bool terminal = false;
  // Seconds on a clock that only goes forward.
  std::function<double()> clock;

  static ProgressOptions standard_error(std::string unit = {});
};

// Shows the progress of one job; advance() may be called from several threads. On a terminal the bar is redrawn at most
// ten times a second and stays when the job is done; elsewhere a line appears every ten seconds at most, and at the
// end. A job that ends early (an exception) leaves what was last shown.
class Progress {
 public:
  Progress(std::string label, std::uint64_t total, ProgressOptions options = ProgressOptions::standard_error());
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  void advance(std::uint64_t count = 1);
  // The job goes on where an earlier one had got to.
  void start_at(std::uint64_t done);
  // What the next lines end with ("loss 1.234").
  void set_note(std::string note);
  // Shows the final state; further calls do nothing.
  void finish();

 private:
  void show();

  std::mutex mutex_;
  ProgressOptions options_;
  ProgressState state_;
  double start_;
  double shown_at_;
  bool drawn_ = false;
  bool finished_ = false;
};

}  // namespace striate
