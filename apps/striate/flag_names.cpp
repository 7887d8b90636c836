#include "apps/striate/flag_names.h"

#include <algorithm>

#include "striate/base/setting.h"

namespace striate::app {

std::string with_flags(std::string_view text) {
  return with_settings(text, [](std::string_view name) {
    std::string flag("--");
    flag.append(name);
    std::replace(flag.begin(), flag.end(), '_', '-');
    return flag;
  });
}

}  // namespace striate::app
