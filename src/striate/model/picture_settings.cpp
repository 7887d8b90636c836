#include "striate/model/picture_settings.h"

#include <array>
#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/model/config_reader.h"
#include "striate/model/model_record.h"
#include "striate/model/tower_folder.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kNested = "image_processor";

// An image processor's settings, and the file they stand in.
struct Processor {
  fs::path file;
  bool nested = false;  // under "image_processor"
  json settings;

  std::string where() const { return nested ? cat(file.string(), ": ", kNested) : file.string(); }
};

// transformers reads processor_config.json first where it holds the settings (5 writes them there).
std::optional<Processor> find_processor(const fs::path& folder) {
  const fs::path together = folder / "processor_config.json";
  if (path_exists(together)) {
    const json root = read_json_file(together);
    if (root.is_object() && root.contains(kNested) && !root[kNested].is_null()) {
      return Processor{together, true, root[kNested]};
    }
  }
  const fs::path alone = folder / "preprocessor_config.json";
  if (!path_exists(alone)) return std::nullopt;
  return Processor{alone, false, read_json_file(alone)};
}

std::optional<Processor> find_processor(const ModelConfig& config, const fs::path& folder) {
  if (auto found = find_processor(folder)) return found;
  if (config.tower_folder) {
    if (auto found = find_processor(*config.tower_folder)) return found;
  }
  // A tower that is given without settings takes the place of the model's own, with whose pictures the model learned.
  const auto tower = tower_folder_inside(folder, config.vision_tower_name);
  return tower ? find_processor(folder / *tower) : std::nullopt;
}

bool says_aspect(const ModelConfig& config) {
  return config.raw.is_object() && config.raw.contains("image_aspect_ratio") &&
         !config.raw["image_aspect_ratio"].is_null();
}

std::optional<bool> do_pad_of(const Processor& processor) {
  const ConfigReader reader(processor.settings, processor.where());
  if (!reader.has("do_pad")) return std::nullopt;
  return reader.boolean("do_pad", false);
}

// What the model's own files say of padding; nullopt where they do not.
std::optional<bool> told_padding(const ModelConfig& config, const std::optional<Processor>& processor) {
  if (says_aspect(config)) return config.pad_to_square;
  if (!config.files().processor_pads || !processor) return std::nullopt;
  return do_pad_of(*processor);
}

PreprocessConfig pixels_of(const ModelConfig& config, const std::optional<Processor>& processor) {
  const int size = static_cast<int>(config.vision->image_size);
  if (!processor) {
    return config.vision->kind == TowerKind::kClip ? PreprocessConfig::clip(size) : PreprocessConfig::siglip(size);
  }
  const PreprocessConfig pixels = PreprocessConfig::from_json(processor->settings, processor->where());
  if (pixels.size != size) {
    throw corrupt_data(cat(processor->where(), ": the file prepares pictures of ", pixels.size,
                           " pixels, but the vision tower takes ", size),
                       "the file belongs to another vision tower");
  }
  return pixels;
}

// transformers pads to a square in LLaVA's processor alone; what another one left to its defaults is written out.
void make_llava_processor(json& settings, const PreprocessConfig& pixels) {
  const json kind = settings.value("image_processor_type", json());
  if (kind.is_string() && kind.get<std::string>().starts_with("Llava")) return;
  settings["image_processor_type"] = "LlavaImageProcessor";
  settings.erase("feature_extractor_type");
  const json square = {{"height", pixels.size}, {"width", pixels.size}};
  const bool crop = pixels.resize == ResizeMode::kShortestEdge;
  settings["size"] = crop ? json{{"shortest_edge", pixels.size}} : square;
  settings["crop_size"] = square;
  settings["do_center_crop"] = crop;
  if (!settings.contains("image_mean")) settings["image_mean"] = pixels.mean;
  if (!settings.contains("image_std")) settings["image_std"] = pixels.std;
}

void write_json(const fs::path& file, const json& contents) {
  write_file(OutputPath::inside(file.parent_path(), file.filename()), contents.dump(2) + "\n");
}

void write_do_pad(Processor processor, const PreprocessConfig& pixels, bool pad) {
  if (pad) make_llava_processor(processor.settings, pixels);
  processor.settings["do_pad"] = pad;
  if (!processor.nested) return write_json(processor.file, processor.settings);
  json root = read_json_file(processor.file);
  root[kNested] = processor.settings;
  write_json(processor.file, root);
}

}  // namespace

PreprocessConfig preprocess_config(const ModelConfig& config, const fs::path& folder) {
  if (!config.vision) throw internal_error("a language model alone has no pixels");
  const std::optional<Processor> processor = find_processor(config, folder);
  PreprocessConfig pixels = pixels_of(config, processor);
  // transformers crops where llava-hf's processor says nothing.
  const bool otherwise = config.pad_to_square && !(config.files().processor_pads && processor);
  pixels.pad_to_square = config.padding_asked.value_or(told_padding(config, processor).value_or(otherwise));
  return pixels;
}

std::optional<json> processor_settings(const ModelConfig& config, const fs::path& folder) {
  const std::optional<Processor> found = find_processor(config, folder);
  return found ? std::optional(found->settings) : std::nullopt;
}

bool pads_in_training(const ModelConfig& config, const fs::path& folder) {
  if (config.padding_asked) return *config.padding_asked;
  return told_padding(config, find_processor(config, folder)).value_or(true);
}

const char* image_aspect_name(bool pad) {
  return pad ? "pad" : "crop";
}

std::optional<bool> recorded_padding(const fs::path& folder) {
  const std::optional<ModelRecord> record = ModelRecord::find(folder);
  return record ? record->pads() : std::nullopt;
}

void write_padding(const fs::path& folder, const ModelConfig& config, bool pad) {
  const std::optional<Processor> processor = find_processor(config, folder);
  if (config.files().processor_pads && processor) {
    if (do_pad_of(*processor) != pad) write_do_pad(*processor, pixels_of(config, processor), pad);
    if (!says_aspect(config)) return;
  }
  if (says_aspect(config) && config.pad_to_square == pad) return;
  json root = read_json_file(folder / "config.json");
  root["image_aspect_ratio"] = pad ? "pad" : "square";
  write_json(folder / "config.json", root);
}

}  // namespace striate
