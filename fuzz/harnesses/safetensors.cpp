// One safetensors file. An input that begins with '{' is a header alone: it gets its length and zeros for data, so that
// changes to it are not lost to a length that no longer fits.
#include <algorithm>

#include "striate/base/error.h"
#include "striate/files/safetensors_header.h"
#include "striate/files/weight_file.h"
#include "support.h"
#include "tensors.h"

namespace {

using namespace striate;

constexpr std::uint64_t kMostData = 1 << 16;  // bytes that a bare header is given

std::string file_around(std::string_view header) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>((header.size() >> (8 * i)) & 0xFF);
  file += header;
  std::uint64_t end = 0;
  for (const SafetensorsRecord& record : parse_safetensors_header(header, "x.safetensors")) {
    end = std::max(end, record.end);
  }
  file.append(std::min(end, kMostData), '\0');
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::Folder folder("safetensors");
  const std::string_view input = fuzz::bytes_of(data, size);
  fuzz::read_or_refuse(input, [&] {
    const auto path = folder.put("x.safetensors", input.starts_with('{') ? file_around(input) : std::string(input));
    fuzz::read_all(*open_safetensors(path));
  });
  return 0;
}
