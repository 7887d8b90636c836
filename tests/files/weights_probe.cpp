// Shows the Python peers what the reader of weights sees (tests/peers/test_weights.py). Not installed.
//
//   weights_probe list PATH         one JSON array of {name, dtype, shape, file}
//   weights_probe copy PATH OUT     every tensor, written to the safetensors file OUT
//
// PATH is a file or a folder of weights. An error is one line and a hint on stderr, with the program's exit code.
#include <c10/core/ScalarType.h>

#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <span>

#include "striate/base/error.h"
#include "striate/files/weight_file.h"

namespace {

std::shared_ptr<const striate::WeightFile> open_any(const std::filesystem::path& path) {
  return std::filesystem::is_directory(path) ? striate::open_weight_directory(path) : striate::open_weight_file(path);
}

void list(const striate::WeightFile& weights) {
  nlohmann::json out = nlohmann::json::array();
  for (const striate::TensorInfo& info : weights.tensors()) {
    out.push_back({{"name", info.name},
                   {"dtype", c10::toString(info.dtype)},
                   {"shape", info.shape},
                   {"bytes", info.bytes},
                   {"file", info.file.filename().string()}});
  }
  std::puts(out.dump().c_str());
}

void copy(const striate::WeightFile& weights, const std::filesystem::path& out) {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const striate::TensorInfo& info : weights.tensors()) tensors.emplace_back(info.name, weights.load(info.name));
  striate::write_safetensors(striate::OutputPath::named(out, striate::Existing::kReplace), tensors);
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  try {
    if (argc == 3 && std::string(arguments[1]) == "list") {
      list(*open_any(arguments[2]));
    } else if (argc == 4 && std::string(arguments[1]) == "copy") {
      copy(*open_any(arguments[2]), arguments[3]);
    } else {
      std::fputs("usage: weights_probe list PATH | copy PATH OUT\n", stderr);
      return 2;
    }
    return 0;
  } catch (const striate::Error& error) {
    std::fprintf(stderr, "%s\nhint: %s\n", error.what(), error.hint().c_str());
    return error.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "unexpected: %s\n", error.what());
    return 70;
  }
}
