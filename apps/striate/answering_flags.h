// The flags of every command that asks a model many questions.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "apps/striate/data_flags.h"
#include "apps/striate/model_flags.h"
#include "striate/data/step_source.h"
#include "striate/eval/question_answerer.h"
#include "striate/ranks/ranks.h"

namespace striate::app {

struct AnsweringFlags {
  ModelFlags model;  // added by the command, where it wants them
  ComputeFlags compute;
  TextFlags text;
  std::string memory_budget, on_bad = "stop", feature_cache_folder;
  std::int64_t sequences = 64;
  std::optional<std::int64_t> context;
  int data_threads = 2;

  // All but the model's.
  void add_to(CLI::App& command);
  // Throws InvalidInput for paths that do not exist and names that there are not.
  void fill(AnswererSettings& settings, const Ranks& ranks) const;
  OnBadSample on_bad_sample() const;
};

}  // namespace striate::app
