#include "striate/tensor/torch_errors.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <new>
#include <optional>
#include <string_view>
#include <system_error>

#include "striate/base/strings.h"

namespace striate {
namespace {

// LibTorch's errors carry a backtrace after their message.
std::string message_of(const std::exception& error) {
  const auto* torch = dynamic_cast<const c10::Error*>(&error);
  return torch != nullptr ? torch->what_without_backtrace() : error.what();
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// What stands after `before` and, from there, before `after`; nullopt where they do not stand in the text.
std::optional<std::string> between(std::string_view text, std::string_view before, std::string_view after) {
  const std::size_t begin = text.find(before);
  if (begin == std::string_view::npos) return std::nullopt;
  text.remove_prefix(begin + before.size());
  const std::size_t end = text.find(after);
  if (end == std::string_view::npos) return std::nullopt;
  return std::string(text.substr(0, end));
}

// As LibTorch's allocator of main memory says it: "... you tried to allocate 1234 bytes. Error code 12 ...".
std::optional<std::string> asked_of_main_memory(std::string_view text) {
  const auto digits = between(text, "you tried to allocate ", " bytes");
  std::uint64_t bytes = 0;
  if (!digits) return std::nullopt;
  const auto [end, failed] = std::from_chars(digits->data(), digits->data() + digits->size(), bytes);
  if (failed != std::errc() || end != digits->data() + digits->size()) return std::nullopt;
  return human_bytes(bytes);
}

// As that of a GPU's does: "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB of
// which 1.06 GiB is free. ...".
std::string out_of_gpu_memory(std::string_view text) {
  std::string out = "out of memory on the GPU";
  if (const auto index = between(text, "GPU ", " has a total capacity")) out = cat("out of memory on GPU ", *index);
  const auto asked = between(text, "Tried to allocate ", ". GPU");
  if (!asked) return out;
  out += cat(": ", *asked, " more was requested");
  const auto all = between(text, "total capacity of ", " of which");
  const auto free = between(text, " of which ", " is free");
  if (all && free) out += cat(", ", *free, " of ", *all, " is free");
  return out;
}

bool is_of_gpu(const std::exception& error, std::string_view text) {
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr || contains(text, "CUDA error: out of memory") ||
         contains(text, "CUBLAS_STATUS_ALLOC_FAILED") || contains(text, "CUDNN_STATUS_ALLOC_FAILED");
}

bool is_of_main_memory(const std::exception& error, std::string_view text) {
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr || contains(text, "DefaultCPUAllocator");
}

}  // namespace

bool ran_out_of_memory(const std::exception& error) {
  const std::string text = message_of(error);
  return is_of_gpu(error, text) || is_of_main_memory(error, text);
}

Error explain(const std::exception& error, const std::string& memory_hint) {
  if (const auto* own = dynamic_cast<const Error*>(&error)) return *own;
  const std::string text = message_of(error);
  if (is_of_gpu(error, text)) return resource_error(out_of_gpu_memory(text), memory_hint);
  if (is_of_main_memory(error, text)) {
    const auto asked = asked_of_main_memory(text);
    return resource_error(asked ? cat("out of memory: ", *asked, " more was requested") : "out of memory", memory_hint);
  }
  const auto* system = dynamic_cast<const std::system_error*>(&error);
  if (system != nullptr && system->code() == std::errc::resource_unavailable_try_again) {
    return resource_error("the system cannot start more threads for this program",
                          "use fewer `threads` and `data_threads`, or raise the limit (ulimit -u, ulimit -v)");
  }
  return internal_error("internal: " + text.substr(0, text.find('\n')));
}

}  // namespace striate
