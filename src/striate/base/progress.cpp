#include "striate/base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "striate/base/strings.h"
#include "striate/base/utf8_character.h"

namespace striate {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr double kLineSeconds = 10;
constexpr int kBarCells = 20;
constexpr std::size_t kUsualColumns = 80;

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

// "samples" to "sample".
std::string one_of(const std::string& unit) {
  return unit.ends_with('s') ? unit.substr(0, unit.size() - 1) : unit;
}

std::string rate_text(const ProgressState& state) {
  const double rate = static_cast<double>(state.done - state.before) / state.seconds;
  std::array<char, 32> decimals{};
  if (state.unit == "B" || rate >= 10) return amount(rate, state.unit) + "/s";
  if (rate >= 1) {
    std::snprintf(decimals.data(), decimals.size(), "%.2f/s", rate);
    return decimals.data();
  }
  constexpr double kFewSeconds = 9.95;
  std::snprintf(decimals.data(), decimals.size(), "%.1f s", 1 / rate);
  const std::string time = 1 / rate < kFewSeconds ? std::string(decimals.data()) : human_duration(1 / rate);
  return time + (state.unit.empty() ? " each" : " a " + one_of(state.unit));
}

// How many columns of a terminal `text` takes at most: letters of scripts that may be wide count twice.
std::size_t columns_of(std::string_view text) {
  constexpr std::uint32_t kFirstWide = 0x1100;
  std::size_t columns = 0;
  while (!text.empty()) {
    const Utf8Character c = utf8_at(text, 0);
    columns += c.code >= kFirstWide ? 2 : 1;
    text.remove_prefix(c.valid ? c.size : 1);
  }
  return columns;
}

std::string cut(const std::string& text, std::size_t columns) {
  std::string_view rest = text;
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const Utf8Character c = utf8_at(rest, 0);
    const std::size_t next = bytes + (c.valid ? c.size : 1);
    if (columns_of(std::string_view(text).substr(0, next)) > columns) break;
    bytes = next;
    rest = std::string_view(text).substr(bytes);
  }
  return text.substr(0, bytes);
}

// The parts of a line; empty ones are not shown.
struct Line {
  std::string head;  // label and percentage
  std::string counts;
  int cells = 0;  // of the bar
  double share = 0;
  std::string rate, time;
  std::vector<std::string> note;

  std::string text() const {
    std::string out = head;
    if (cells > 0) {
      const int full = static_cast<int>(share * cells);
      out += cat(" [", std::string(full, '#'), std::string(cells - full, ' '), "]");
    }
    for (const std::string* part : {&counts, &rate, &time}) {
      if (!part->empty()) out += "  " + *part;
    }
    for (const std::string& part : note) out += "  " + part;
    return out;
  }

  // Takes the least wanted part away, or half of it; false when nothing is left that may go.
  bool shrink() {
    constexpr int kFewCells = 10;
    if (note.size() > 1) {
      note.pop_back();
    } else if (cells > 0) {
      cells = cells > kFewCells ? kFewCells : 0;
    } else if (!note.empty()) {
      note.clear();
    } else if (!rate.empty()) {
      rate.clear();
    } else if (!time.empty()) {
      time.clear();
    } else {
      return false;
    }
    return true;
  }
};

std::vector<std::string> parts_of(const std::string& note) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < note.size();) {
    const std::size_t end = std::min(note.find("  ", begin), note.size());
    if (end > begin) parts.push_back(note.substr(begin, end - begin));
    begin = end + 2;
  }
  return parts;
}

std::size_t terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return kUsualColumns;
}

// A bar needs a terminal that moves its cursor.
bool is_terminal() {
  const char* kind = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) != 0 && (kind == nullptr || std::string_view(kind) != "dumb");
}

}  // namespace

std::string human_duration(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::llround(std::max(0.0, seconds)));
  if (whole < 60) return cat(whole, " s");
  const std::uint64_t small = whole < 3600 ? whole % 60 : whole / 60 % 60;
  const std::string padded = cat(small < 10 ? "0" : "", small);
  return whole < 3600 ? cat(whole / 60, " min ", padded, " s") : cat(whole / 3600, " h ", padded, " min");
}

std::string progress_text(const ProgressState& state, bool bar, std::size_t columns) {
  Line line;
  line.head = state.label;
  const std::uint64_t done = state.total > 0 ? std::min(state.done, state.total) : state.done;
  if (state.total > 0) {
    line.share = static_cast<double>(done) / static_cast<double>(state.total);
    const auto percent = static_cast<int>(line.share * 100);
    line.head += cat("  ", percent < 10 ? "  " : percent < 100 ? " " : "", percent, "%");
    if (bar) line.cells = kBarCells;
  }
  line.counts = amount(static_cast<double>(done), state.unit);
  if (state.total > 0) line.counts += cat(" of ", amount(static_cast<double>(state.total), state.unit));
  if (!state.unit.empty() && state.unit != "B") line.counts += cat(" ", state.unit);
  if (done > state.before && state.seconds > 0) {
    line.rate = rate_text(state);
    const auto own = static_cast<double>(done - state.before);
    const double left = state.seconds * static_cast<double>(state.total - done) / own;
    if (done < state.total) line.time = human_duration(left) + " left";
  }
  if (state.total > 0 && done == state.total) line.time = "in " + human_duration(state.seconds);
  line.note = parts_of(state.note);
  std::string text = line.text();
  if (columns == 0) return text;
  while (columns_of(text) > columns && line.shrink()) text = line.text();
  return cut(text, columns);
}

ProgressOptions ProgressOptions::standard_error(std::string unit) {
  return {std::move(unit), write_standard_error, is_terminal(), steady_seconds, terminal_columns};
}

Progress::Progress(const std::string& label, std::uint64_t total, ProgressOptions options)
    : options_(std::move(options)), start_(options_.clock()), shown_at_(start_) {
  state_.label = printable(label);
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
  if (paused_at_) return;
  if (!options_.terminal && state_.total > 0 && state_.done >= state_.total) return;  // finish() prints this line
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

void Progress::set_note(const std::string& note) {
  const std::lock_guard lock(mutex_);
  state_.note = printable(note);
}

void Progress::pause() {
  const std::lock_guard lock(mutex_);
  if (finished_ || paused_at_) return;
  paused_at_ = options_.clock();
  wipe();
}

void Progress::resume() {
  const std::lock_guard lock(mutex_);
  if (finished_ || !paused_at_) return;
  const double away = options_.clock() - *paused_at_;
  start_ += away;
  shown_at_ += away;
  paused_at_.reset();
  if (options_.terminal && state_.done > state_.before) show();
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  show();
  if (options_.terminal) options_.write("\n");
  finished_ = true;
}

void Progress::clear() {
  const std::lock_guard lock(mutex_);
  wipe();
  finished_ = true;
}

void Progress::wipe() {
  if (drawn_) options_.write("\r\033[K");
  drawn_ = false;
}

void Progress::show() {
  state_.seconds = paused_at_.value_or(options_.clock()) - start_;
  if (!options_.terminal) return options_.write(progress_text(state_, false) + "\n");
  // The last column stays free: a letter in it makes some terminals begin a new line.
  const std::size_t columns = options_.columns ? options_.columns() : kUsualColumns;
  options_.write(cat("\r", progress_text(state_, true, std::max<std::size_t>(columns, 2) - 1), "\033[K"));
  drawn_ = true;
}

}  // namespace striate
