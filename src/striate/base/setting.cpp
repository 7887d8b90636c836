#include "striate/base/setting.h"

#include <algorithm>

namespace striate {
namespace {

bool is_setting_name(std::string_view name) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && name.front() >= 'a' && name.front() <= 'z' && std::all_of(name.begin(), name.end(), fits);
}

}  // namespace

std::string setting(std::string_view name) {
  std::string out;
  out.append("`").append(name).append("`");
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

std::string with_settings(std::string_view text, const std::function<std::string(std::string_view name)>& shown) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t begin = text.find('`', at);
    const std::size_t end = begin == std::string_view::npos ? begin : text.find('`', begin + 1);
    if (end == std::string_view::npos) break;
    const std::string_view name = text.substr(begin + 1, end - begin - 1);
    if (is_setting_name(name)) {
      out += text.substr(at, begin - at);
      out += shown(name);
      at = end + 1;
    } else {
      out += text.substr(at, end - at);  // the second may open another
      at = end;
    }
  }
  return out += text.substr(at);
}

}  // namespace striate
