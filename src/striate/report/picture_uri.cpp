#include "striate/report/picture_uri.h"

#include "striate/base/base64.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

std::string picture_type(std::string_view bytes) {
  if (bytes.starts_with("\xFF\xD8\xFF")) return "image/jpeg";
  if (bytes.starts_with("\x89PNG\r\n\x1A\n")) return "image/png";
  if (bytes.starts_with("GIF8")) return "image/gif";
  return bytes.starts_with("RIFF") && bytes.substr(0, 12).ends_with("WEBP") ? "image/webp" : "";
}

}  // namespace

std::string picture_uri(std::string_view bytes) {
  const std::string type = picture_type(bytes);
  return type.empty() ? "" : cat("data:", type, ";base64,", base64_of(bytes));
}

}  // namespace striate
