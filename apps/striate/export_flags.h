// What the commands that write models share: flags of the output, and the report of the check that follows.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "striate/base/progress.h"
#include "striate/region/logits_check.h"
#include "striate/region/model_folder.h"

namespace striate::app {

// --out, --dtype, --max-shard-size, --no-verify, --threads.
struct OutputFlags {
  std::string out, dtype = "keep", shard = "5GB";
  bool no_verify = false;
  int threads = 0;

  void add_to(CLI::App& command);
  // fp32, fp16, bf16; nullopt for keep. Throws InvalidInput for other words.
  std::optional<at::ScalarType> type() const;
  // The flags as options, with a bar while large models are written. Throws InvalidInput.
  FolderOptions options() const;
};

// Progress of writing; small models need no bar.
class WritingProgress {
 public:
  void operator()(std::uint64_t done, std::uint64_t total);

 private:
  std::optional<Progress> bar_;
  std::uint64_t shown_ = 0;
};

// "largest difference 1.2e-06 of 9.8 (1.2e-07 of the largest logit, 1e-05 allowed), same token at 60 of 60 positions".
std::string difference_text(const LogitsDifference& difference, double tolerance);
nlohmann::json difference_json(const LogitsDifference& difference, double tolerance);

}  // namespace striate::app
