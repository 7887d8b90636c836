// striate export --format gguf.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "apps/striate/export_flags.h"
#include "apps/striate/model_flags.h"

namespace striate::app {

// --gguf-type, --mmproj-type, --no-mmproj.
struct GgufFlags {
  std::string type = "f16", vision_type;
  bool no_vision = false;

  void add_to(CLI::App& command);
};

// Writes the GGUF files into a new folder, checks them, prints what was done.
void run_gguf_export(const ModelFlags& model, const OutputFlags& output, const GgufFlags& flags, bool json);

}  // namespace striate::app
