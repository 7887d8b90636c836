// What the commands that write models share: flags of the output, and the report of the check that follows.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "striate/base/progress.h"
#include "striate/edit/export_check.h"

namespace striate::app {

// --out, --dtype, --max-shard-size, --no-verify, --threads.
struct OutputFlags {
  std::string out, dtype = "keep", shard = "5GB";
  bool no_verify = false;
  int threads = 0;

  void add_to(CLI::App& command);
  // fp32, fp16, bf16; nullopt for keep. Throws InvalidInput for other words.
  std::optional<at::ScalarType> type() const;
  // What they ask for, with a bar while large models are written; sets the number of threads. Throws InvalidInput.
  OutputRequest request() const;
};

// Progress of writing; small models need no bar.
class WritingProgress {
 public:
  void operator()(std::uint64_t done, std::uint64_t total);

 private:
  std::optional<Progress> bar_;
  std::uint64_t shown_ = 0;
};

// "largest difference 1.2e-06 (1.2e-07 of the largest logit, 1e-05 allowed), same token at 60 of 60 positions".
std::string check_text(const ExportCheck& check);
// null where nothing was compared.
nlohmann::json check_json(const std::optional<ExportCheck>& check);

// What was written, for people.
void print_written(const std::string& out, Family family, const FolderResult& result);

}  // namespace striate::app
