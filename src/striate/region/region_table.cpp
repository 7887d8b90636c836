#include "striate/region/region_table.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/config.h"
#include "striate/model/config_bounds.h"
#include "striate/region/layer_grammar.h"
#include "striate/region/score_file.h"

namespace striate {
namespace {

// The decoder whose layers are named: a model's, or of a depth alone.
struct NamedDecoder {
  std::int64_t layers = 0;
  std::optional<DecoderConfig> config;

  LayerSet parse(const std::string& spec) const {
    return config ? parse_layer_set(spec, *config) : parse_layer_set(spec, layers);
  }
};

NamedDecoder decoder_of(const RegionRequest& request) {
  if (request.model && request.layers_total) {
    throw invalid_input("`layers_total` and `model` exclude each other", "give one of them");
  }
  if (!request.model && !request.layers_total) {
    throw invalid_input("the decoder's number of layers is needed, from `layers_total` or from `model`",
                        "give one of them: `layers_total` 32, or `model` DIR to read it from config.json");
  }
  if (request.model) {
    const DecoderConfig config = read_model_config(*request.model).decoder;
    return {config.layers, config};
  }
  const std::int64_t layers = *request.layers_total;
  if (layers < 1 || layers > kMostLayers) {
    throw invalid_input(cat("`layers_total` ", layers, " is not a number of layers that a decoder can have"),
                        cat("give 1 to ", kMostLayers));
  }
  return {layers, std::nullopt};
}

// Every rule of the grammar at the request's share of the layers, with the metrics of its score file.
std::vector<std::string> every_rule(const RegionRequest& request) {
  const std::string& k = request.share;
  std::vector<std::string> specs = {"all",
                                    cat("uniform:", k),
                                    "paper",
                                    "authors-script",
                                    cat("bottom:", k),
                                    cat("mid-bottom:", k),
                                    cat("mid-top:", k),
                                    cat("middle:", k),
                                    cat("top:", k),
                                    cat("bottom-top:", k),
                                    cat("random:", k, ":1")};
  if (!request.scores) return specs;
  for (const std::string& metric : read_score_file(*request.scores).metric_names()) {
    for (const char* rule : {"score:", "stratified:"}) {
      specs.push_back(cat(rule, request.scores->string(), ":", metric, ":", k));
    }
  }
  return specs;
}

// A rule that does not suit this depth is told, and is not an error.
RegionRow row_of_rule(const std::string& spec, const NamedDecoder& decoder) {
  try {
    return {spec, decoder.parse(spec), {}};
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInvalidInput) throw;
    const std::string what = error.what();
    const std::string prefix = cat("layer set \"", spec, "\": ");
    return {spec, LayerSet(decoder.layers, {}), what.starts_with(prefix) ? what.substr(prefix.size()) : what};
  }
}

}  // namespace

RegionTable region_table(const RegionRequest& request) {
  const NamedDecoder decoder = decoder_of(request);
  RegionTable table{decoder.layers, {}};
  for (const std::string& spec : request.sets) table.rows.push_back({spec, decoder.parse(spec), {}});
  if (!request.sets.empty()) return table;
  decoder.parse(cat("uniform:", request.share));  // a share that is none is the request's mistake, not a rule's
  for (const std::string& spec : every_rule(request)) table.rows.push_back(row_of_rule(spec, decoder));
  return table;
}

}  // namespace striate
