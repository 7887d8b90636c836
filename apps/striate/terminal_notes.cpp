#include "apps/striate/terminal_notes.h"

#include "apps/striate/flag_names.h"
#include "striate/base/log.h"

namespace striate::app {

Notes terminal_notes() {
  return {.info = [](const std::string& text) { log_info(with_flags(text)); },
          .warning = [](const std::string& text) { log_warn(with_flags(text)); }};
}

}  // namespace striate::app
