// A data set: LLaVA's JSON, JSON Lines, messages; every sample is read.
#include "striate/base/error.h"
#include "striate/data/dataset.h"
#include "support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace striate;
  static fuzz::Folder folder("data");
  const std::string_view input = fuzz::bytes_of(data, size);
  fuzz::read_or_refuse(input, [&] {
    const Dataset samples(folder.put("data.json", input));
    for (std::int64_t i = 0; i < samples.size(); ++i) {
      fuzz::read_or_refuse(input, [&] { (void)samples.read(i); });
    }
  });
  return 0;
}
