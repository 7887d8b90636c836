// The small JSON files beside a model, an adapter, a run and a score: each goes to its own readers.
#include "striate/base/error.h"
#include "striate/edit/recorded_region.h"
#include "striate/image/image.h"
#include "striate/model/adapter_file.h"
#include "striate/model/config.h"
#include "striate/model/model_record.h"
#include "striate/model/picture_settings.h"
#include "striate/region/layer_grammar.h"
#include "striate/region/score_file.h"
#include "striate/text/tokenizer_files.h"
#include "support.h"

namespace {

using namespace striate;

constexpr std::int64_t kLayers = 8;

void read_model(const std::filesystem::path& folder) {
  const ModelConfig config = read_model_config(folder);
  if (config.vision) (void)preprocess_config(config, folder);
  (void)decoder_shape(config.decoder);
}

void read_scores(const std::filesystem::path& file) {
  const ScoreFile scores = read_score_file(file);
  for (const std::string& metric : scores.metric_names()) (void)scores.metric(metric);
  if (score_file_json(scores).empty()) fuzz::found("scores that are written as nothing");
  (void)parse_layer_set("score:" + file.string() + ":bi:2", kLayers);
}

void read_history(const std::filesystem::path& folder) {
  const std::optional<ModelRecord> record = ModelRecord::find(folder);
  if (record && record->origin(kLayers).count() != kLayers) fuzz::found("a history of another number of layers");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::Folder folder("documents");
  static const std::set<std::string> names = {"config.json",
                                              "preprocessor_config.json",
                                              "processor_config.json",
                                              "generation_config.json",
                                              "adapter_config.json",
                                              "adapter_model.safetensors",
                                              "striate.json",
                                              "run.json",
                                              "scores.json",
                                              "tokenizer_config.json",
                                              "special_tokens_map.json",
                                              "added_tokens.json"};
  const std::string_view input = fuzz::bytes_of(data, size);
  const std::set<std::string> files = folder.unpack(input, names);
  const auto read = [&](const std::function<void()>& reader) { fuzz::read_or_refuse(input, reader); };
  const std::filesystem::path& path = folder.path();
  if (files.contains("config.json")) read([&] { read_model(path); });
  if (files.contains("preprocessor_config.json")) {
    read([&] { (void)PreprocessConfig::from_file(path / "preprocessor_config.json"); });
  }
  if (files.contains("adapter_config.json")) read([&] { AdapterFile{path}; });
  if (files.contains("striate.json")) read([&] { read_history(path); });
  if (files.contains("striate.json") || files.contains("run.json")) {
    read([&] { (void)recorded_region(path, kLayers); });
  }
  if (files.contains("scores.json")) read([&] { read_scores(path / "scores.json"); });
  read([&] { (void)read_tokenizer_settings(path); });
  return 0;
}
