// What a checkpoint consists of, from its configuration and headers alone: no weights are read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "striate/model/load.h"
#include "striate/model/tensor_list.h"

namespace striate {

// Tensors, parameters and bytes of some set of tensors.
struct Tally {
  std::uint64_t tensors = 0;
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;
};

struct PartReport {
  Part part;
  Tally all;
  std::vector<Tally> layers;            // by layer
  Tally rest;                           // embedding, final norm, head: what is in no layer
  std::map<std::string, Tally> dtypes;  // "BF16", "F16", "F32"
};

// A tensor whose shape or type in the files differs from the configuration.
struct Mismatch {
  std::string name;     // canonical
  std::string in_file;  // the name there
  std::filesystem::path file;
  std::string found;     // "[32000, 4096]", or a dtype
  std::string expected;  // likewise
};

struct FileReport {
  std::filesystem::path path;
  std::uint64_t bytes;  // the whole file
  std::uint64_t tensors;
};

struct AdapterReport {
  std::filesystem::path folder;
  std::int64_t rank;
  double alpha;
  std::string start;                 // as adapter_start_name() gives it
  std::vector<std::string> targets;  // linears, as in a decoder layer
  std::vector<std::int64_t> layers;  // those that have a matrix
  Tally matrices;
};

struct Inspection {
  ModelConfig config;
  std::filesystem::path folder;
  std::string naming;  // "" when no tensor tells one
  std::vector<PartReport> parts;
  std::map<std::string, Tally> dtypes;
  Tally all;
  std::vector<FileReport> files;
  std::optional<std::string> tokenizer;    // its description
  std::string tokenizer_problem;           // why there is none
  std::optional<PreprocessConfig> pixels;  // how pictures are prepared
  std::string pixels_problem;              // why that is not known in a model that sees
  std::vector<TensorSpec> missing;
  std::vector<Mismatch> wrong_shape;
  std::vector<Mismatch> wrong_dtype;
  std::vector<std::string> unexpected;  // names in the files that fit the naming and not this configuration
  std::vector<std::string> unused;      // names in the files that are not part of an LVLM (a pooling head)
  std::optional<AdapterReport> adapter;

  // Whether every tensor of the model is there, of its shape and of a floating type.
  bool complete() const { return missing.empty() && wrong_shape.empty() && wrong_dtype.empty(); }
};

// Reads headers and the tokenizer, no tensor. Throws as open_checkpoint() does when config, weights or adapter cannot
// be opened; whatever else is wrong is in the report.
Inspection inspect_model(const ModelPaths& paths);

// Throws CorruptData, naming the first of them, when tensors are missing or of another shape or type than the
// configuration says: such a model cannot be loaded.
void require_complete(const Inspection& report);

// The report as docs/inspect.md describes it.
nlohmann::json inspection_json(const Inspection& report);

// "vision_tower", "projector", "decoder".
std::string part_key(Part part);

}  // namespace striate
