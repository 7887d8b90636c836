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

#include "striate/base/output_file.h"

namespace striate {

// CRC-32C (Castagnoli, RFC 3720), and TensorFlow's mask over it.
std::uint32_t crc32c(std::string_view bytes);
std::uint32_t masked_crc32c(std::string_view bytes);

// Appends scalars to `folder`/tensorboard/events.out.tfevents.TIME.HOST.PID. Each write is handed to the system at
// once.
class EventFile {
 public:
  // A run that goes on at `first_step` hides what an earlier file of the folder says about later steps, as TensorBoard
  // does after a SessionLog START. Throws ResourceError.
  EventFile(const std::filesystem::path& folder, std::int64_t first_step);

  void add_scalars(std::int64_t step, const std::vector<std::pair<std::string, double>>& scalars);
  const std::filesystem::path& path() const { return place_.path(); }

 private:
  void write_event(const std::string& event);

  OutputPath place_;
  AppendFile file_;
};

}  // namespace striate
