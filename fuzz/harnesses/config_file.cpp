// --config: TOML, or the run.json of an earlier run where the input begins with '{'.
#include "striate/train/config_file.h"

#include "striate/base/error.h"
#include "support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace striate;
  static fuzz::Folder folder("config");
  static const std::vector<std::string> known = {"layers",        "lora-r",           "lora-alpha", "lora-targets",
                                                 "learning-rate", "freeze-projector", "data",       "steps"};
  const std::string_view input = fuzz::bytes_of(data, size);
  const auto path = folder.put(input.starts_with('{') ? "run.json" : "tune.toml", input);
  fuzz::read_or_refuse(input, [&] {
    for (const ConfigEntry& entry : read_config_file(path, known)) {
      if (entry.key.empty() || entry.where.empty()) fuzz::found("a setting without a name or a place");
    }
  });
  return 0;
}
