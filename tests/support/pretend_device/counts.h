// What work on the pretend device would cost on a GPU, counted under named sections.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace striate::test {

struct CopyCounts {
  std::int64_t copies = 0;
  std::int64_t bytes = 0;
  std::int64_t pinned = 0;  // copies whose end in main memory is pinned
  std::int64_t waited = 0;  // copies that the host waits for
};

struct DeviceCounts {
  std::int64_t launches = 0;       // operators that compute; views are free
  std::int64_t side_launches = 0;  // of them, those on another stream than the default one
  std::int64_t stream_waits = 0;   // times a stream waits for another
  std::int64_t waits = 0;          // times the host waits for the device, waited copies included
  CopyCounts to_host;
  CopyCounts to_device;
  std::int64_t touched_bytes = 0;  // read or written by operators: the least traffic that they cause
  std::int64_t allocations = 0;
  std::int64_t allocated_bytes = 0;
  std::int64_t peak_bytes = 0;  // the most that was allocated at once, whoever allocated it
  // The same of what was allocated on the default stream, and on others: CUDA's allocator keeps them apart.
  std::int64_t default_peak_bytes = 0;
  std::int64_t side_peak_bytes = 0;
  std::int64_t pinned_allocations = 0;  // of pinned memory, which takes the place of what is copied from once more
  std::int64_t atomics =
      0;  // operators whose CUDA kernels may add in another order every time (not under DeterministicSums)
  std::int64_t hazards = 0;  // pinned memory overwritten while a copy from it could still be under way
  std::map<std::string, std::int64_t> operators;   // launches by name
  std::map<std::string, std::int64_t> waited_for;  // waits by what they were for
};

// While it lives, everything is counted under `name`, whichever thread does it. Sections nest: the innermost counts.
class CountedSection {
 public:
  explicit CountedSection(std::string name);
  ~CountedSection();
  CountedSection(const CountedSection&) = delete;
  CountedSection& operator=(const CountedSection&) = delete;
};

// What was counted under a name so far; zeros for a name that was never used.
DeviceCounts counts_of(const std::string& section);
// The launches of the whole process, and its copies to main memory: whether anything ran on the device.
std::int64_t work_so_far();

namespace pretend {

enum class Direction { kToHost, kToDevice };

struct Copy {
  Direction direction;
  std::int64_t bytes;
  bool pinned;
  bool waited;
};

void count_launch(const std::string& op, std::int64_t bytes);
void count_stream_wait();
void count_wait(const std::string& what);
// A copy between main memory and the device; `what` names it where the host waits for it.
void count_copy(const Copy& copy, const std::string& what);
void count_atomic();
void count_hazard();
// Of device memory; `side`: on another stream than the default one.
void count_allocation(std::int64_t bytes, bool side);
void count_release(std::int64_t bytes, bool side);
void count_pinned_allocation();

}  // namespace pretend
}  // namespace striate::test
