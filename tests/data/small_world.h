// A data set of a few samples and pictures, with a model and a tokenizer to read it with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "striate/data/step_source.h"
#include "striate/model/lvlm.h"
#include "striate/text/tokenizer.h"
#include "tests/support/paths.h"

namespace striate::test {

// A BMP picture of `width` x `height` pixels whose colours follow from `seed`.
std::string bmp_picture(int width, int height, std::uint32_t seed);

// A LLaVA sample; `image` empty: text alone.
nlohmann::json sample_json(const std::string& id, const std::string& image, const std::string& question,
                           const std::string& answer);

class SmallWorld {
 public:
  // `samples` samples whose answers have 1 to 40 letters, two of three with a picture, some of which share one.
  explicit SmallWorld(std::int64_t samples = 0);

  const Lvlm& model() const { return *model_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  std::filesystem::path images() const { return folder_.path() / "images"; }
  std::filesystem::path data() const { return folder_.path() / "data.json"; }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }

  void write_data(const nlohmann::json& samples) const;
  void write_image(const std::string& name, const std::string& bytes) const;
  nlohmann::json samples() const;
  // Four samples a step, no shuffling of anything else: what tests change is their own business.
  StepSourceOptions options() const;

 private:
  TemporaryFolder folder_;
  std::unique_ptr<Lvlm> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

}  // namespace striate::test
