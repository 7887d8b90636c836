#include "tests/parity/golden.h"

#include <algorithm>

#include "striate/base/json_file.h"
#include "striate/model/load.h"
#include "striate/text/conversation.h"
#include "tests/support/paths.h"
#include "tests/support/test_device.h"

namespace striate::test {

Golden::Golden(const std::filesystem::path& folder)
    : folder_(folder),
      name_(folder.filename().string()),
      json_(read_json_file(folder / "golden.json")),
      info_(json_.at("tensors")),
      tensors_(open_safetensors(folder / "golden.safetensors")) {}

std::vector<std::filesystem::path> Golden::all_cases() {
  std::vector<std::filesystem::path> cases;
  if (!std::filesystem::is_directory(goldens())) return cases;
  for (const auto& entry : std::filesystem::directory_iterator(goldens())) {
    if (std::filesystem::exists(entry.path() / "golden.json")) cases.push_back(entry.path());
  }
  std::sort(cases.begin(), cases.end());
  return cases;
}

std::vector<std::filesystem::path> Golden::cases_with(const std::string& tensor) {
  std::vector<std::filesystem::path> found = all_cases();
  std::erase_if(found, [&](const auto& folder) { return !Golden(folder).has(tensor); });
  return found;
}

std::filesystem::path Golden::model_folder() const {
  return std::filesystem::weakly_canonical(folder_ / json_.at("model").get<std::string>());
}

std::vector<std::string> Golden::expected() const {
  std::vector<std::string> names;
  for (const auto& [name, info] : info_.items()) {
    if (info.at("role") == "expected") names.push_back(name);
  }
  return names;
}

void Golden::compare(const std::string& tensor, const at::Tensor& got, const std::optional<at::Tensor>& where) const {
  const nlohmann::json& info = info_.at(tensor);
  const at::Tensor want = load(tensor).to(at::kDouble);
  ASSERT_EQ(got.numel(), want.numel()) << tensor << ": got shape " << got.sizes() << ", want " << want.sizes();
  const at::Tensor have = got.cpu().to(at::kDouble).reshape(want.sizes());
  const bool exact = info.value("exact", false);
  const double atol = exact ? 0.0 : info.at("atol").get<double>();
  const double rtol = exact ? 0.0 : info.at("rtol").get<double>();
  at::Tensor excess = (have - want).abs() - (atol + rtol * want.abs());
  if (where) excess = excess.masked_fill(where->logical_not(), -1.0);
  ASSERT_FALSE(excess.isnan().any().item<bool>()) << tensor << ": not a number";
  if (excess.numel() == 0) return;
  const double worst = excess.max().item<double>();
  const auto index = excess.argmax().item<std::int64_t>();
  EXPECT_LE(worst, 0.0) << name_ << ": " << tensor << " at flat index " << index << ": got "
                        << have.flatten()[index].item<double>() << ", want " << want.flatten()[index].item<double>();
}

std::vector<Sample> Golden::samples(const Lvlm& model) const {
  at::Tensor ids = load("input_ids");
  at::Tensor labels = load("labels");
  if (ids.dim() == 1) {
    ids = ids.unsqueeze(0);
    labels = labels.unsqueeze(0);
  }
  const at::Tensor mask = has("attention_mask") ? load("attention_mask") : at::ones_like(ids);
  const auto images_in_row = [&](std::int64_t row) { return ids[row].eq(kImageToken).sum().item<std::int64_t>(); };
  at::Tensor features;
  if (has("pixel_values")) features = model.vision_features(load("pixel_values"));
  // A batch carries one picture per row, a dummy where the row has none; a single sample its own pictures in order.
  const bool one_per_row = features.defined() && ids.size(0) > 1 && features.size(0) == ids.size(0);
  std::int64_t next = 0;
  std::vector<Sample> samples;
  for (std::int64_t row = 0; row < ids.size(0); ++row) {
    Sample sample;
    for (std::int64_t t = 0; t < ids.size(1); ++t) {
      if (mask[row][t].item<std::int64_t>() == 0) continue;
      sample.input_ids.push_back(ids[row][t].item<std::int64_t>());
      sample.labels.push_back(labels[row][t].item<std::int64_t>());
    }
    for (std::int64_t i = 0; i < images_in_row(row); ++i) sample.images.push_back(features[one_per_row ? row : next++]);
    samples.push_back(std::move(sample));
  }
  return samples;
}

std::unique_ptr<Lvlm> load_golden_model(const Golden& golden, Compute compute) {
  ModelPaths paths;
  paths.model = golden.model_folder();
  return load_model(open_checkpoint(paths), Placement{test_device(), compute});
}

}  // namespace striate::test
