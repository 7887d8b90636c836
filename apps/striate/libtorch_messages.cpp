#include "apps/striate/libtorch_messages.h"

#include <c10/util/Logging.h>

#include <cstdlib>
#include <map>

#include "striate/base/error.h"

namespace striate::app {

void show_libtorch_messages(bool show) {
  // What is fatal stays: it ends the process.
  FLAGS_caffe2_log_level = show ? c10::GLOG_INFO : c10::GLOG_FATAL;
  for (const char* name : {"TORCH_NCCL_ASYNC_ERROR_HANDLING", "TORCH_NCCL_ENABLE_MONITORING"}) {
    ::setenv(name, "0", /*overwrite=*/0);
  }
}

std::string libtorch_text(const std::exception& error) {
  std::string text;
  if (dynamic_cast<const Error*>(&error) == nullptr) text = std::string(error.what()) + "\n";
  try {
    std::rethrow_if_nested(error);
  } catch (const std::exception& inner) {
    text += libtorch_text(inner);
  }
  return text;
}

std::string memory_hint(const std::string& command) {
  const std::string training =
      "use --recompute layer, a smaller --tokens-per-stream or --batch, or --frozen-precision int8, or set "
      "--memory-budget SIZE; striate plan shows what takes memory";
  const std::string answering =
      "use fewer --answers-at-once, a shorter --context, a smaller --memory-budget or --precision bf16";
  const std::map<std::string, std::string> hints = {
      {"train", training},
      {"heal", training},
      {"chat", "use a smaller --context, --precision bf16 or a smaller model"},
      {"eval", answering},
      {"predict", answering},
      {"score", "use a smaller --tokens-per-stream or --precision bf16"},
      {"init", "make a smaller model: fewer --layers, or a smaller --hidden and --vocab"},
  };
  const auto found = hints.find(command);
  if (found != hints.end()) return found->second;
  return "end other programs, raise the limit (ulimit -v), or use a machine with more memory";
}

}  // namespace striate::app
