// A golden case: a tiny checkpoint, inputs, and what the original code computes from them.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "striate/files/weight_file.h"
#include "striate/model/lvlm.h"

namespace striate::test {

// One folder with golden.json and golden.safetensors.
class Golden {
 public:
  explicit Golden(const std::filesystem::path& folder);

  // Every case folder under the goldens, sorted; empty where there are no goldens.
  static std::vector<std::filesystem::path> all_cases();
  // Those of them that hold `tensor`.
  static std::vector<std::filesystem::path> cases_with(const std::string& tensor);

  const std::string& name() const { return name_; }
  std::filesystem::path model_folder() const;
  bool has(const std::string& tensor) const { return info_.contains(tensor); }
  at::Tensor load(const std::string& tensor) const { return tensors_->load(tensor); }
  // Names of the tensors with role "expected".
  std::vector<std::string> expected() const;
  const nlohmann::json& json() const { return json_; }

  // `got` against the golden's tensor at its tolerance (or exactly), where `where` (same shape, bool) says; adds a
  // failure that names the worst element.
  void compare(const std::string& tensor, const at::Tensor& got, const std::optional<at::Tensor>& where = {}) const;

  // The case's samples without padding, with vision features computed by `model`.
  std::vector<Sample> samples(const Lvlm& model) const;

 private:
  std::filesystem::path folder_;
  std::string name_;
  nlohmann::json json_;
  nlohmann::json info_;
  std::shared_ptr<const WeightFile> tensors_;
};

// Names a parameterised test after its case.
inline const auto kCaseName = [](const auto& info) { return info.param.filename().string(); };

// The case's model, on the device that tests run on.
std::unique_ptr<Lvlm> load_golden_model(const Golden& golden, Compute compute);

}  // namespace striate::test
