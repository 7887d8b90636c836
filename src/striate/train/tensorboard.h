// TensorBoard event files: scalars over steps.
//
// The format is TensorFlow's: a TFRecord file (length, masked CRC-32C of it, data, masked CRC-32C of that; little
// endian) of Event protobuf messages (tensorflow/core/util/event.proto, framework/summary.proto).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace striate {

// CRC-32C (Castagnoli, RFC 3720), and TensorFlow's mask over it.
std::uint32_t crc32c(std::string_view bytes);
std::uint32_t masked_crc32c(std::string_view bytes);

// Appends scalars to `folder`/events.out.tfevents.TIME.HOST.PID. Each write is handed to the system at once.
class EventFile {
 public:
  // A run that goes on at `first_step` hides what an earlier file of the folder says about later steps, as TensorBoard
  // does after a SessionLog START. Throws ResourceError.
  EventFile(const std::filesystem::path& folder, std::int64_t first_step);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  void add_scalars(std::int64_t step, const std::vector<std::pair<std::string, double>>& scalars);
  const std::filesystem::path& path() const { return path_; }

 private:
  void write_event(const std::string& event);

  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace striate
