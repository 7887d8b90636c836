// Decodes and fits pictures for tests/peers/test_images.py.
//
// Each line of standard input is PIPELINE, a blank and a path, where PIPELINE is clip336_pad, clip336_nopad,
// siglip384_pad or siglip384_nopad. For each, standard output gets one line: "error MESSAGE", or "ok WIDTH HEIGHT SIZE"
// followed by WIDTH*HEIGHT*3 bytes of decoded RGB, SIZE*SIZE*3 bytes of fitted RGB and 3*SIZE*SIZE float32.
#include <iostream>
#include <span>
#include <string>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/image/image.h"

namespace {

striate::PreprocessConfig pipeline(const std::string& name) {
  using striate::PreprocessConfig;
  PreprocessConfig config = name.starts_with("clip336") ? PreprocessConfig::clip(336) : PreprocessConfig::siglip(384);
  config.pad_to_square = name.ends_with("_pad");
  return config;
}

template <typename T>
void write_raw(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  std::cout.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void answer(const std::string& line) {
  const std::size_t blank = line.find(' ');
  const striate::PreprocessConfig config = pipeline(line.substr(0, blank));
  const striate::Image image = striate::load_image(line.substr(blank + 1));
  const striate::Image fitted = striate::fit_image(image, config);
  const std::vector<float> tensor = striate::preprocess(image, config);
  std::cout << "ok " << image.width << ' ' << image.height << ' ' << config.size << '\n';
  write_raw(image.rgb);
  write_raw(fitted.rgb);
  write_raw(tensor);
}

}  // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    try {
      answer(line);
    } catch (const striate::Error& error) {
      std::cout << "error " << error.what() << '\n';
    }
    std::cout.flush();
  }
}
