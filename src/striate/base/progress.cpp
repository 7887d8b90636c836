#include "striate/base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr double kLineSeconds = 10;
constexpr int kBarCells = 20;

void write_standard_error(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDERR_FILENO, text.data(), text.size());
    if (count <= 0) return;  // nobody reads it any more: no reason to fail the job
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string amount(double value, const std::string& unit) {
  const auto whole = static_cast<std::uint64_t>(std::llround(value));
  return unit == "B" ? human_bytes(whole) : human_count(whole);
}

std::string rate_text(const ProgressState& state) {
  const double rate = static_cast<double>(state.done - state.before) / state.seconds;
  const bool slow = state.unit != "B" && rate < 10;
  std::array<char, 32> decimals{};
  std::snprintf(decimals.data(), decimals.size(), "%.2f", rate);
  return cat("  ", slow ? std::string(decimals.data()) : amount(rate, state.unit), "/s");
}

}  // namespace

std::string human_duration(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::llround(std::max(0.0, seconds)));
  if (whole < 60) return cat(whole, " s");
  const std::uint64_t small = whole < 3600 ? whole % 60 : whole / 60 % 60;
  const std::string padded = cat(small < 10 ? "0" : "", small);
  return whole < 3600 ? cat(whole / 60, " min ", padded, " s") : cat(whole / 3600, " h ", padded, " min");
}

std::string progress_text(const ProgressState& state, bool bar) {
  std::string text = state.label;
  const std::uint64_t done = state.total > 0 ? std::min(state.done, state.total) : state.done;
  if (state.total > 0) {
    const double share = static_cast<double>(done) / static_cast<double>(state.total);
    const auto percent = static_cast<int>(share * 100);
    text += cat("  ", percent < 10 ? "  " : percent < 100 ? " " : "", percent, "%");
    if (bar) {
      const int cells = static_cast<int>(share * kBarCells);
      text += cat(" [", std::string(cells, '#'), std::string(kBarCells - cells, ' '), "]");
    }
  }
  text += cat("  ", amount(static_cast<double>(done), state.unit));
  if (state.total > 0) text += cat(" of ", amount(static_cast<double>(state.total), state.unit));
  if (!state.unit.empty() && state.unit != "B") text += cat(" ", state.unit);
  if (done > state.before && state.seconds > 0) {
    text += rate_text(state);
    if (done < state.total) {
      const auto own = static_cast<double>(done - state.before);
      const double left = state.seconds * static_cast<double>(state.total - done) / own;
      text += cat("  ", human_duration(left), " left");
    }
  }
  if (state.total > 0 && done == state.total) text += cat("  in ", human_duration(state.seconds));
  if (!state.note.empty()) text += "  " + state.note;
  return text;
}

ProgressOptions ProgressOptions::standard_error(std::string unit) {
  return {std::move(unit), write_standard_error, ::isatty(STDERR_FILENO) != 0, steady_seconds};
}

Progress::Progress(std::string label, std::uint64_t total, ProgressOptions options)
    : options_(std::move(options)), start_(options_.clock()), shown_at_(start_) {
  state_.label = std::move(label);
  state_.total = total;
  state_.unit = options_.unit;
}

Progress::~Progress() {
  if (drawn_ && !finished_) options_.write("\n");
}

void Progress::advance(std::uint64_t count) {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  state_.done += count;
  const double now = options_.clock();
  if (now - shown_at_ < (options_.terminal ? kRedrawSeconds : kLineSeconds)) return;
  shown_at_ = now;
  show();
}

void Progress::start_at(std::uint64_t done) {
  const std::lock_guard lock(mutex_);
  state_.done = done;
  state_.before = done;
}

void Progress::set_note(std::string note) {
  const std::lock_guard lock(mutex_);
  state_.note = std::move(note);
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  show();
  if (options_.terminal) options_.write("\n");
  finished_ = true;
}

void Progress::show() {
  state_.seconds = options_.clock() - start_;
  const std::string text = progress_text(state_, options_.terminal);
  options_.write(options_.terminal ? "\r" + text + "\033[K" : text + "\n");
  drawn_ = options_.terminal;
}

}  // namespace striate
