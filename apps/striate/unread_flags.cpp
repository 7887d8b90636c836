#include "apps/striate/unread_flags.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate::app {

void refuse_unread(const CLI::App& command, const std::vector<std::string>& flags, const std::string& why,
                   const std::string& hint) {
  for (const std::string& flag : flags) {
    if (command.get_option(flag)->count() > 0) throw invalid_input(cat(flag, " ", why), hint);
  }
}

}  // namespace striate::app
