#include "striate/base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string_view>

#include "striate/base/strings.h"

namespace striate {
namespace {

spdlog::level::level_enum wanted_level() {
  const char* wanted = std::getenv("STRIATE_LOG");
  if (wanted != nullptr && std::string_view(wanted) == "off") return spdlog::level::off;
  if (wanted != nullptr && std::string_view(wanted) == "warn") return spdlog::level::warn;
  return spdlog::level::info;
}

// Made on first use; safe from several threads.
spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> kLogger = [] {
    auto made = std::make_shared<spdlog::logger>("striate", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    // On a terminal a progress bar may stand on the line: it is wiped first, and drawn again below.
    made->set_pattern(::isatty(STDERR_FILENO) != 0 ? "\r\033[K%v" : "%v");
    made->set_level(wanted_level());
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *kLogger;
}

}  // namespace

void log_info(const std::string& message) {
  logger().log(spdlog::level::info, printable(message));
}

void log_warn(const std::string& message) {
  logger().log(spdlog::level::warn, printable("warning: " + message));
}

}  // namespace striate
