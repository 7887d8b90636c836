#include "striate/model/inspect_model.h"

#include <algorithm>
#include <set>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"
#include "striate/files/safetensors_format.h"
#include "striate/model/adapter_file.h"
#include "striate/model/config_reader.h"
#include "striate/model/picture_settings.h"
#include "striate/text/tokenizer.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string dtype_title(at::ScalarType dtype) {
  const auto name = safetensors_dtype_name(dtype);
  return name ? std::string(*name) : c10::toString(dtype);
}

std::uint64_t numel(const std::vector<std::int64_t>& shape) {
  std::uint64_t count = 1;
  for (const std::int64_t size : shape) count *= static_cast<std::uint64_t>(size);
  return count;
}

void add(Tally& tally, const TensorInfo& info) {
  ++tally.tensors;
  tally.parameters += numel(info.shape);
  tally.bytes += info.bytes;
}

PartReport& part_of(Inspection& report, Part part) {
  for (PartReport& known : report.parts) {
    if (known.part == part) return known;
  }
  return report.parts.emplace_back(PartReport{part, {}, {}, {}, {}});
}

void count(Inspection& report, const TensorSpec& spec, const TensorInfo& info) {
  PartReport& part = part_of(report, spec.part);
  const std::string dtype = dtype_title(info.dtype);
  add(report.all, info);
  add(report.dtypes[dtype], info);
  add(part.all, info);
  add(part.dtypes[dtype], info);
  if (spec.layer < 0) return add(part.rest, info);
  const auto layer = static_cast<std::size_t>(spec.layer);
  if (part.layers.size() <= layer) part.layers.resize(layer + 1);
  add(part.layers[layer], info);
}

void compare(Inspection& report, const WeightSource& weights) {
  std::set<std::string> expected;
  for (const TensorSpec& spec : expected_tensors(report.config)) {
    part_of(report, spec.part);  // also where all of it is missing
    expected.insert(spec.name);
    const WeightSource::Entry* entry = weights.find(spec.name);
    if (entry == nullptr) {
      report.missing.push_back(spec);
      continue;
    }
    const TensorInfo& info = *entry->info;
    count(report, spec, info);
    if (info.shape != spec.shape) {
      report.wrong_shape.push_back({spec.name, info.name, info.file, shape_text(info.shape), shape_text(spec.shape)});
    }
    if (info.dtype != at::kFloat && info.dtype != at::kHalf && info.dtype != at::kBFloat16) {
      report.wrong_dtype.push_back({spec.name, info.name, info.file, dtype_title(info.dtype), "F32, F16 or BF16"});
    }
  }
  for (const auto& [name, entry] : weights.entries()) {
    if (!expected.contains(name)) report.unexpected.push_back(entry.info->name);
  }
  for (const WeightSource::Entry& entry : weights.unknown()) report.unused.push_back(entry.info->name);
  std::sort(report.unused.begin(), report.unused.end());
}

void list_files(Inspection& report, const WeightSource& weights) {
  std::map<fs::path, std::uint64_t> tensors;
  for (const auto& [name, entry] : weights.entries()) ++tensors[entry.info->file];
  for (const WeightSource::Entry& entry : weights.unknown()) ++tensors[entry.info->file];
  for (const auto& [path, number] : tensors) report.files.push_back({path, file_size_of(path), number});
}

void read_tokenizer(Inspection& report) {
  try {
    report.tokenizer = load_tokenizer(report.folder)->description();
  } catch (const Error& error) {
    report.tokenizer_problem = error.what();
  }
}

void read_preprocessor(Inspection& report) {
  if (!report.config.vision) return;
  try {
    report.pixels = preprocess_config(report.config, report.folder);
  } catch (const Error& error) {
    report.pixels_problem = error.what();
  }
}

AdapterReport inspect_adapter(const fs::path& folder) {
  const AdapterFile adapter(folder);
  const AdapterSettings& settings = adapter.settings();
  AdapterReport report{folder, settings.rank, settings.alpha, adapter_start_name(settings.start), {}, {}, {}};
  report.layers = adapter.layers();
  std::set<std::string> targets;
  for (const AdapterPair& pair : adapter.pairs()) {
    targets.insert(pair.linear);
    add(report.matrices, *pair.a);
    add(report.matrices, *pair.b);
  }
  report.targets.assign(targets.begin(), targets.end());
  return report;
}

json tally_json(const Tally& tally) {
  return {{"tensors", tally.tensors}, {"parameters", tally.parameters}, {"bytes", tally.bytes}};
}

json dtypes_json(const std::map<std::string, Tally>& dtypes) {
  json out = json::object();
  for (const auto& [name, tally] : dtypes) out[name] = tally_json(tally);
  return out;
}

json parts_json(const Inspection& report) {
  json parts = json::object();
  for (const PartReport& part : report.parts) {
    json out = tally_json(part.all);
    out["dtypes"] = dtypes_json(part.dtypes);
    out["outside_layers"] = tally_json(part.rest);
    out["layers"] = json::array();
    for (std::size_t i = 0; i < part.layers.size(); ++i) {
      json layer = tally_json(part.layers[i]);
      layer["layer"] = i;
      out["layers"].push_back(std::move(layer));
    }
    parts[part_key(part.part)] = std::move(out);
  }
  return parts;
}

json decoder_json(const DecoderConfig& c) {
  return {{"kind", c.kind == DecoderKind::kPhi3 ? "phi3" : "llama"},
          {"layers", c.layers},
          {"hidden_size", c.hidden_size},
          {"mlp_size", c.mlp_size},
          {"heads", c.heads},
          {"kv_heads", c.kv_heads},
          {"head_dim", c.head_dim},
          {"vocab_size", c.vocab_size},
          {"rope_theta", c.rope_theta},
          {"sliding_window", c.sliding_window ? json(*c.sliding_window) : json(nullptr)}};
}

json vision_json(const Inspection& report) {
  if (!report.config.vision) return nullptr;
  const VisionConfig& c = *report.config.vision;
  return {{"kind", c.kind == TowerKind::kClip ? "clip" : "siglip"},
          {"layers", c.layers},
          {"hidden_size", c.hidden_size},
          {"mlp_size", c.mlp_size},
          {"heads", c.heads},
          {"image_size", c.image_size},
          {"patch_size", c.patch_size},
          {"tokens_per_image", c.tokens()},
          {"feature_layer", c.feature_layer},
          {"pad_to_square", report.pixels ? report.pixels->pad_to_square : report.config.pad_to_square},
          {"preprocessor_problem", report.pixels ? json(nullptr) : json(report.pixels_problem)}};
}

json projector_json(const ModelConfig& config) {
  if (!config.projector) return nullptr;
  const ProjectorConfig& c = *config.projector;
  return {{"type", c.depth == 1 ? std::string("linear") : cat("mlp", c.depth, "x_gelu")},
          {"in_size", c.in_size},
          {"out_size", c.out_size}};
}

json mismatches_json(const std::vector<Mismatch>& list) {
  json out = json::array();
  for (const Mismatch& m : list) {
    out.push_back({{"name", m.name},
                   {"in_file", m.in_file},
                   {"file", m.file.string()},
                   {"found", m.found},
                   {"expected", m.expected}});
  }
  return out;
}

json adapter_json(const AdapterReport& adapter) {
  json out = tally_json(adapter.matrices);
  out["folder"] = adapter.folder.string();
  out["rank"] = adapter.rank;
  out["alpha"] = adapter.alpha;
  out["start"] = adapter.start;
  out["targets"] = adapter.targets;
  out["layers"] = adapter.layers;
  return out;
}

}  // namespace

std::string part_key(Part part) {
  switch (part) {
    case Part::kVisionTower:
      return "vision_tower";
    case Part::kProjector:
      return "projector";
    case Part::kDecoder:
      return "decoder";
  }
  throw internal_error("unknown part");
}

Inspection inspect_model(const ModelPaths& paths) {
  Checkpoint checkpoint = open_checkpoint(paths);
  Inspection report;
  report.config = std::move(checkpoint.config);
  report.folder = checkpoint.folder;
  if (const auto naming = checkpoint.weights.naming()) report.naming = naming_title(*naming);
  compare(report, checkpoint.weights);
  std::stable_sort(report.parts.begin(), report.parts.end(),
                   [](const PartReport& a, const PartReport& b) { return a.part < b.part; });
  list_files(report, checkpoint.weights);
  read_tokenizer(report);
  read_preprocessor(report);
  if (checkpoint.adapter) report.adapter = inspect_adapter(*checkpoint.adapter);
  return report;
}

json inspection_json(const Inspection& report) {
  json missing = json::array();
  for (const TensorSpec& spec : report.missing) {
    missing.push_back({{"name", spec.name}, {"shape", spec.shape}, {"part", part_key(spec.part)}});
  }
  json files = json::array();
  for (const FileReport& file : report.files) {
    files.push_back({{"path", file.path.string()}, {"bytes", file.bytes}, {"tensors", file.tensors}});
  }
  return {{"family", family_name(report.config.family)},
          {"naming", report.naming},
          {"folder", report.folder.string()},
          {"total", tally_json(report.all)},
          {"parts", parts_json(report)},
          {"dtypes", dtypes_json(report.dtypes)},
          {"decoder", decoder_json(report.config.decoder)},
          {"vision_tower", vision_json(report)},
          {"projector", projector_json(report.config)},
          {"context_length", report.config.decoder.max_positions},
          {"tied_embeddings", report.config.decoder.tie_embeddings},
          {"chat_template", template_name(default_template(report.config.family))},
          {"tokenizer", report.tokenizer ? json(*report.tokenizer) : json(nullptr)},
          {"tokenizer_problem", report.tokenizer ? json(nullptr) : json(report.tokenizer_problem)},
          {"files", files},
          {"complete", report.complete()},
          {"missing", missing},
          {"wrong_shape", mismatches_json(report.wrong_shape)},
          {"wrong_dtype", mismatches_json(report.wrong_dtype)},
          {"unexpected", report.unexpected},
          {"unused", report.unused},
          {"adapter", report.adapter ? adapter_json(*report.adapter) : json(nullptr)}};
}

void require_complete(const Inspection& report) {
  const std::string where = report.folder.string();
  if (!report.missing.empty()) {
    const TensorSpec& first = report.missing.front();
    const bool vision = first.part == Part::kVisionTower;
    throw corrupt_data(cat(where, ": tensor ", first.name, " is missing (", report.missing.size(), " in all)"),
                       vision ? "give the vision tower with `vision_tower` DIR, or download the rest of the checkpoint"
                              : "download the rest of the checkpoint, or give the missing part");
  }
  for (const auto* wrong : {&report.wrong_shape, &report.wrong_dtype}) {
    if (wrong->empty()) continue;
    const Mismatch& first = wrong->front();
    throw corrupt_data(cat(first.file.string(), ": tensor ", first.in_file, " is ", first.found, ", expected ",
                           first.expected, " (", wrong->size(), " such tensors)"),
                       "config.json and weights belong to different models");
  }
}

}  // namespace striate
