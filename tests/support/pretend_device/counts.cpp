#include "tests/support/pretend_device/counts.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "tests/support/pretend_device/hooks.h"
#include "tests/support/pretend_device/memory.h"

namespace striate::test {
namespace {

struct AllCounts {
  std::map<std::string, DeviceCounts> sections;
  std::vector<std::string> open = {"outside"};
  std::int64_t default_bytes = 0;  // allocated now,
  std::int64_t side_bytes = 0;     // and on other streams
  std::int64_t work = 0;

  DeviceCounts& now() { return sections[open.back()]; }
  void note_peaks() {
    DeviceCounts& counts = now();
    counts.peak_bytes = std::max(counts.peak_bytes, default_bytes + side_bytes);
    counts.default_peak_bytes = std::max(counts.default_peak_bytes, default_bytes);
    counts.side_peak_bytes = std::max(counts.side_peak_bytes, side_bytes);
  }
};

AllCounts& all_counts() {
  static auto* all = new AllCounts;  // tensors may be freed after static objects
  return *all;
}

}  // namespace

CountedSection::CountedSection(std::string name) {
  const pretend::DeviceLock lock(pretend::device_mutex());
  AllCounts& all = all_counts();
  all.open.push_back(std::move(name));
  all.note_peaks();
}

CountedSection::~CountedSection() {
  const pretend::DeviceLock lock(pretend::device_mutex());
  all_counts().open.pop_back();
}

DeviceCounts counts_of(const std::string& section) {
  const pretend::DeviceLock lock(pretend::device_mutex());
  const auto found = all_counts().sections.find(section);
  return found == all_counts().sections.end() ? DeviceCounts{} : found->second;
}

std::int64_t work_so_far() {
  const pretend::DeviceLock lock(pretend::device_mutex());
  return all_counts().work;
}

namespace pretend {

void count_launch(const std::string& op, std::int64_t bytes) {
  AllCounts& all = all_counts();
  ++all.work;
  DeviceCounts& counts = all.now();
  ++counts.launches;
  if (on_side_stream()) ++counts.side_launches;
  ++counts.operators[op];
  counts.touched_bytes += bytes;
}

void count_stream_wait() {
  ++all_counts().now().stream_waits;
}

void count_wait(const std::string& what) {
  DeviceCounts& counts = all_counts().now();
  ++counts.waits;
  ++counts.waited_for[what];
}

void count_copy(const Copy& copy, const std::string& what) {
  AllCounts& all = all_counts();
  DeviceCounts& counts = all.now();
  if (copy.direction == Direction::kToHost) ++all.work;
  CopyCounts& side = copy.direction == Direction::kToHost ? counts.to_host : counts.to_device;
  ++side.copies;
  side.bytes += copy.bytes;
  side.pinned += copy.pinned ? 1 : 0;
  side.waited += copy.waited ? 1 : 0;
  if (copy.waited) count_wait(what);
}

void count_atomic() {
  ++all_counts().now().atomics;
}

void count_hazard() {
  ++all_counts().now().hazards;
}

void count_allocation(std::int64_t bytes, bool side) {
  AllCounts& all = all_counts();
  DeviceCounts& counts = all.now();
  ++counts.allocations;
  counts.allocated_bytes += bytes;
  (side ? all.side_bytes : all.default_bytes) += bytes;
  all.note_peaks();
}

void count_release(std::int64_t bytes, bool side) {
  AllCounts& all = all_counts();
  (side ? all.side_bytes : all.default_bytes) -= bytes;
}

void count_pinned_allocation() {
  ++all_counts().now().pinned_allocations;
}

}  // namespace pretend
}  // namespace striate::test
