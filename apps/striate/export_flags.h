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

// How near a written model came to the one it was made from.
struct ExportCheck {
  LogitsDifference difference;
  double tolerance;

  // "largest difference 1.2e-06 (1.2e-07 of the largest logit, 1e-05 allowed), same token at 60 of 60 positions".
  std::string text() const;
  nlohmann::json json() const;
};

// The model that opens at `written` against the logits that its source gave for `inputs`; `rounding` as
// write_model_folder told it. Throws (exit status 1) when they differ by more than that explains.
ExportCheck check_export(const std::vector<ProbeInput>& inputs, const std::vector<at::Tensor>& reference,
                         const ModelPaths& written, double rounding, const std::string& out);

// What was written, for people.
void print_written(const std::string& out, const Checkpoint& source, const FolderResult& result);

}  // namespace striate::app
