#include "apps/striate/unread_flags.h"

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate::app {

void refuse_unread(const CLI::App& command, const std::vector<std::string>& flags, const std::string& why,
                   const std::string& hint) {
  refuse_unread(typed_flags(command), flags, why, hint);
}

TypedFlags typed_flags(const CLI::App& command) {
  TypedFlags typed;
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() > 0 && !option->get_lnames().empty()) typed.push_back(cat("--", option->get_lnames().front()));
  }
  return typed;
}

void refuse_unread(const TypedFlags& typed, const std::vector<std::string>& flags, const std::string& why,
                   const std::string& hint) {
  for (const std::string& flag : flags) {
    if (std::find(typed.begin(), typed.end(), flag) != typed.end()) throw invalid_input(cat(flag, " ", why), hint);
  }
}

}  // namespace striate::app
