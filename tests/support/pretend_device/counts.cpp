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
  std::int64_t live_bytes = 0;
  std::int64_t work = 0;

  DeviceCounts& now() { return sections[open.back()]; }
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
  all.now().peak_bytes = std::max(all.now().peak_bytes, all.live_bytes);
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

void count_allocation(std::int64_t bytes) {
  AllCounts& all = all_counts();
  DeviceCounts& counts = all.now();
  ++counts.allocations;
  counts.allocated_bytes += bytes;
  all.live_bytes += bytes;
  counts.peak_bytes = std::max(counts.peak_bytes, all.live_bytes);
}

void count_release(std::int64_t bytes) {
  all_counts().live_bytes -= bytes;
}

}  // namespace pretend
}  // namespace striate::test
