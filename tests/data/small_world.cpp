#include "tests/data/small_world.h"

#include "striate/base/files.h"
#include "striate/base/random.h"
#include "striate/base/strings.h"
#include "tests/support/paths.h"
#include "tests/support/tiny_model.h"
#include "tests/text/tiny_tokenizers.h"

namespace striate::test {
namespace {

std::string little(std::uint32_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>((value >> (8 * i)) & 0xFF);
  return text;
}

}  // namespace

std::string bmp_picture(int width, int height, std::uint32_t seed) {
  const RandomStream random(seed, "picture");
  const std::size_t stride = (static_cast<std::size_t>(width) * 3 + 3) / 4 * 4;
  std::string pixels(stride * static_cast<std::size_t>(height), '\0');
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<char>(random.bits(i));
  std::string file = "BM" + little(static_cast<std::uint32_t>(54 + pixels.size()), 4) + little(0, 4) + little(54, 4);
  file += little(40, 4) + little(static_cast<std::uint32_t>(width), 4) + little(static_cast<std::uint32_t>(height), 4);
  file += little(1, 2) + little(24, 2) + std::string(24, '\0');
  return file + pixels;
}

nlohmann::json sample_json(const std::string& id, const std::string& image, const std::string& question,
                           const std::string& answer) {
  const std::string asked = image.empty() ? question : cat("<image>\n", question);
  nlohmann::json sample = {
      {"id", id}, {"conversations", {{{"from", "human"}, {"value", asked}}, {{"from", "gpt"}, {"value", answer}}}}};
  if (!image.empty()) sample["image"] = image;
  return sample;
}

SmallWorld::SmallWorld(std::int64_t samples) : model_(tiny_model({.vocab_size = 264})) {
  std::filesystem::create_directories(images());
  std::filesystem::create_directories(path("tokenizer"));
  write_file(path("tokenizer") / "tokenizer.json", tiny_tokenizer_json().dump());
  tokenizer_ = load_tokenizer(path("tokenizer"));
  if (samples == 0) return;
  const RandomStream random(1, "small world");
  nlohmann::json list = nlohmann::json::array();
  for (std::int64_t i = 0; i < samples; ++i) {
    const std::string image = i % 3 == 0 ? std::string() : cat("p", i % 3 == 1 ? i : i / 6 * 6 + 2, ".bmp");
    if (!image.empty())
      write_image(image, bmp_picture(20 + static_cast<int>(i % 17), 24, static_cast<std::uint32_t>(i)));
    const auto letters = static_cast<std::size_t>(1 + random.bits(static_cast<std::uint64_t>(i)) % 40);
    list.push_back(sample_json(cat("s", i), image, cat("What is ", i, "?"), std::string(letters, 'b')));
  }
  write_data(list);
}

void SmallWorld::write_data(const nlohmann::json& samples) const {
  write_file(data(), samples.dump(1));
}

void SmallWorld::write_image(const std::string& name, const std::string& bytes) const {
  std::filesystem::create_directories((images() / name).parent_path());
  write_file(images() / name, bytes);
}

nlohmann::json SmallWorld::samples() const {
  return nlohmann::json::parse(read_file(data()));
}

StepSourceOptions SmallWorld::options() const {
  StepSourceOptions options;
  options.data = data();
  options.images = images();
  options.batch = 4;
  options.max_tokens = 1024;
  options.tokens_per_stream = 1024;
  return options;
}

}  // namespace striate::test
