// Progress of a long job: a bar with rate and time left on a terminal, a plain line now and then elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
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

// "Reading  42% [########            ]  5.67 GB of 13.5 GB  1.20 GB/s  7 s left"; the bar on request only. What takes
// longer than a second is given by its time: "7 min 51 s a step".
//
// At most `columns` characters wide (0: as wide as it is), where wide letters count twice. What does not fit goes, the
// least wanted first: the note's parts behind its first (two spaces part them), the bar, the note's first part, the
// rate, the time left; at last the text is cut.
std::string progress_text(const ProgressState& state, bool bar, std::size_t columns = 0);

// "7 s", "3 min 20 s", "2 h 05 min".
std::string human_duration(double seconds);

struct ProgressOptions {
  std::string unit;
  // Where it is shown, and how; by default standard error, as a bar when that is a terminal.
  std::function<void(std::string_view)> write;
  bool terminal = false;
  // Seconds on a clock that only goes forward.
  std::function<double()> clock;
  // The terminal's width, asked at every redraw, since its user may change it. Absent: 80.
  std::function<std::size_t()> columns = {};

  static ProgressOptions standard_error(std::string unit = {});
};

// Shows the progress of one job; advance() may be called from several threads. On a terminal the bar is redrawn at most
// ten times a second, on one line whatever the terminal's width, and stays when the job is done; elsewhere a line
// appears every ten seconds at most, and at the end. A job that ends early (an exception) leaves what was last shown.
// Control characters in label and note are shown escaped.
class Progress {
 public:
  Progress(const std::string& label, std::uint64_t total, ProgressOptions options = ProgressOptions::standard_error());
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  void advance(std::uint64_t count = 1);
  // The job goes on where an earlier one had got to.
  void start_at(std::uint64_t done);
  // What the next lines end with ("loss 1.234").
  void set_note(const std::string& note);
  // Another job takes its turn, and the terminal's line: until resume(), nothing is shown and time does not count.
  void pause();
  void resume();
  // Shows the final state; further calls do nothing.
  void finish();
  // Ends without a trace on a terminal, for a job within another; elsewhere nothing more is shown.
  void clear();

 private:
  void show();
  void wipe();

  std::mutex mutex_;
  ProgressOptions options_;
  ProgressState state_;
  double start_;
  double shown_at_;
  std::optional<double> paused_at_;
  bool drawn_ = false;  // a bar is on the terminal's line
  bool finished_ = false;
};

}  // namespace striate
