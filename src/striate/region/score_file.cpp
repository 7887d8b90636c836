#include "striate/region/score_file.h"

#include <cmath>
#include <limits>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/strings.h"
#include "striate/model/config.h"
#include "striate/model/config_bounds.h"

namespace striate {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "striate-scores";
constexpr std::int64_t kVersion = 1;
constexpr std::uint64_t kMostCounted = std::uint64_t{1} << 62;  // samples or tokens
constexpr const char* kScoreFileHint = "write it again with 'striate score', or see docs/scores.md for the format";

// Reads the parts of one file; every error names the file and the key.
class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  Error damaged(const std::string& what) const { return corrupt_data(cat(file_, ": ", what), kScoreFileHint); }

  const json& at(const json& object, const std::string& key, json::value_t type, const char* type_name) const {
    const auto found = object.find(key);
    if (found == object.end()) throw damaged(cat("has no \"", key, "\""));
    if (found->type() != type) throw damaged(cat("\"", key, "\" is not of type ", type_name));
    return *found;
  }

  std::int64_t count(const json& object, const std::string& key, std::int64_t least, std::int64_t most) const {
    const auto found = object.find(key);
    if (found == object.end()) throw damaged(cat("has no \"", key, "\""));
    if (!found->is_number_unsigned() || found->get<std::uint64_t>() > static_cast<std::uint64_t>(most) ||
        found->get<std::int64_t>() < least) {
      throw damaged(cat("\"", key, "\" is ", found->dump(), ", not a whole number from ", least, " to ", most));
    }
    return found->get<std::int64_t>();
  }

  // `length` 0 takes any but none.
  std::vector<double> values(const json& object, const std::string& key, const std::string& where,
                             std::size_t length) const {
    const json& list = at(object, key, json::value_t::array, "list");
    if (length == 0 ? list.empty() : list.size() != length) {
      throw damaged(cat("\"", where, "\" has ", list.size(), " values in \"", key, "\", expected ", length));
    }
    std::vector<double> out;
    out.reserve(list.size());
    for (const json& item : list) {
      const bool number = item.is_number() && std::isfinite(item.get<double>());
      if (!number && !item.is_null()) {
        throw damaged(cat("\"", where, "\" value ", out.size(), " in \"", key, "\" is not a number: ", item.dump()));
      }
      out.push_back(number ? item.get<double>() : std::numeric_limits<double>::quiet_NaN());
    }
    return out;
  }

  std::vector<std::int64_t> counts(const json& object, const std::string& key, const std::string& where,
                                   std::size_t length) const {
    const json& list = at(object, key, json::value_t::array, "list");
    if (list.size() != length) {
      throw damaged(cat("\"", where, "\" has ", list.size(), " values in \"", key, "\", expected ", length));
    }
    std::vector<std::int64_t> out;
    for (const json& item : list) {
      if (!item.is_number_unsigned() || item.get<std::uint64_t>() > kMostCounted) {
        throw damaged(cat("\"", where, "\" value ", out.size(), " in \"", key, "\" is not a count: ", item.dump()));
      }
      out.push_back(item.get<std::int64_t>());
    }
    return out;
  }

  Score score(const json& object, const std::string& where, std::size_t length) const {
    if (!object.is_object()) throw damaged(cat("\"", where, "\" is not an object with a \"mean\""));
    if (!object.contains("mean")) throw damaged(cat("\"", where, "\" has no \"mean\""));
    Score out;
    out.mean = values(object, "mean", where, length);
    if (object.contains("standard_error")) {
      out.standard_error = values(object, "standard_error", where, out.mean.size());
    }
    if (object.contains("samples")) out.samples = counts(object, "samples", where, out.mean.size());
    return out;
  }

  TokenCounts token_counts(const json& object, std::size_t layers) const {
    TokenCounts out;
    out.total = count(object, "total", 0, std::numeric_limits<std::int64_t>::max());
    const std::pair<const char*, std::vector<std::int64_t>*> lists[] = {
        {"zero_norm", &out.zero_norm},
        {"not_finite", &out.not_finite},
        {"attention_not_finite", &out.attention_not_finite}};
    for (const auto& [key, list] : lists) {
      if (object.contains(key)) *list = counts(object, key, "tokens", layers);
    }
    return out;
  }

  DecoderShape decoder_shape(const json& object) const {
    constexpr std::int64_t kMost = 1 << 30;
    return {count(object, "hidden", 1, kMost), count(object, "mlp", 1, kMost), count(object, "heads", 1, kMost),
            count(object, "kv_heads", 1, kMost)};
  }

  std::int64_t block_length(const std::string& key, std::int64_t layers) const {
    const bool digits = !key.empty() && key.size() < 7 && key.find_first_not_of("0123456789") == std::string::npos;
    const std::int64_t n = digits ? std::stoll(key) : 0;
    if (n < 1 || n > layers) throw damaged(cat("\"angular\" has block length \"", key, "\" of ", layers, " layers"));
    return n;
  }

 private:
  std::string file_;
};

json parse(const Reader& reader, const std::filesystem::path& path) {
  json out = read_json_file(path, kScoreJson);
  if (out.is_object() && out.value("format", json()) == kFormat) return out;
  throw reader.damaged(cat("not a score file (it has no \"format\": \"", kFormat, "\")"));
}

json list_json(const std::vector<double>& values) {
  json out = json::array();
  for (const double value : values) out.push_back(std::isfinite(value) ? json(value) : json(nullptr));
  return out;
}

json score_json(const Score& score, std::size_t length) {
  const auto fits = [&](const auto& list) { return list.empty() || list.size() == length; };
  if (score.mean.size() != length || !fits(score.standard_error) || !fits(score.samples))
    throw internal_error("a score does not have one value per place");
  json out = {{"mean", list_json(score.mean)}};
  if (!score.standard_error.empty()) out["standard_error"] = list_json(score.standard_error);
  if (!score.samples.empty()) out["samples"] = score.samples;
  return out;
}

json token_counts_json(const TokenCounts& tokens, std::size_t layers) {
  json out = {{"total", tokens.total}};
  const std::pair<const char*, const std::vector<std::int64_t>*> lists[] = {
      {"zero_norm", &tokens.zero_norm},
      {"not_finite", &tokens.not_finite},
      {"attention_not_finite", &tokens.attention_not_finite}};
  for (const auto& [key, list] : lists) {
    if (list->empty()) continue;
    if (list->size() != layers) throw internal_error("counts of tokens are not one per layer");
    out[key] = *list;
  }
  return out;
}

}  // namespace

DecoderShape decoder_shape(const DecoderConfig& config) {
  return {config.hidden_size, config.mlp_size, config.heads, config.kv_heads};
}

const Score& ScoreFile::metric(const std::string& name) const {
  if (name == "angular" && angular.contains(1)) return angular.at(1);
  const auto found = metrics.find(name);
  if (found != metrics.end()) return found->second;
  const std::string nearest = nearest_name(name, metric_names());
  throw invalid_input(cat(path, ": has no metric \"", name, "\""),
                      cat(nearest.empty() ? std::string() : cat("did you mean ", nearest, "? "),
                          "it has: ", join(metric_names(), ", ")));
}

std::vector<std::string> ScoreFile::metric_names() const {
  std::vector<std::string> names;
  for (const auto& [name, score] : metrics) names.push_back(name);
  if (angular.contains(1)) names.push_back("angular");
  return names;
}

ScoreFile read_score_file(const std::filesystem::path& path) {
  const Reader reader(path.string());
  const json file = parse(reader, path);
  const std::int64_t version = reader.count(file, "version", 1, std::numeric_limits<std::int32_t>::max());
  if (version > kVersion) {
    throw unsupported(
        cat(path.string(), ": score file version ", version, ", but this program reads version ", kVersion),
        "use the version of striate that wrote it, or measure the scores again");
  }
  ScoreFile out;
  out.path = path.string();
  out.model = reader.at(file, "model", json::value_t::string, "text").get<std::string>();
  out.layers = reader.count(file, "layers", 1, kMostLayers);
  out.samples = reader.count(file, "samples", 0, std::numeric_limits<std::int64_t>::max());
  if (file.contains("settings")) out.settings = reader.at(file, "settings", json::value_t::object, "object");
  const auto layers = static_cast<std::size_t>(out.layers);
  const json metrics = reader.at(file, "metrics", json::value_t::object, "object");
  for (const auto& [name, score] : metrics.items()) out.metrics[name] = reader.score(score, name, layers);
  if (file.contains("angular")) {
    const json blocks = reader.at(file, "angular", json::value_t::object, "object");
    for (const auto& [key, score] : blocks.items()) {
      const std::int64_t n = reader.block_length(key, out.layers);
      out.angular[n] = reader.score(score, cat("angular.", key), layers - static_cast<std::size_t>(n) + 1);
    }
  }
  if (file.contains("image_attention_heads")) {
    const json heads = reader.at(file, "image_attention_heads", json::value_t::array, "list");
    if (heads.size() != layers) {
      throw reader.damaged(cat("\"image_attention_heads\" has ", heads.size(), " layers, expected ", layers));
    }
    for (const json& layer : heads)
      out.image_attention_heads.push_back(reader.score(layer, "image_attention_heads", 0));
  }
  if (file.contains("param_change_linears")) {
    const json linears = reader.at(file, "param_change_linears", json::value_t::object, "object");
    for (const auto& [name, score] : linears.items())
      out.param_change_linears[name] = reader.score(score, name, layers);
  }
  if (file.contains("tokens")) {
    out.tokens = reader.token_counts(reader.at(file, "tokens", json::value_t::object, "object"), layers);
  }
  if (file.contains("decoder")) {
    out.decoder = reader.decoder_shape(reader.at(file, "decoder", json::value_t::object, "object"));
  }
  return out;
}

nlohmann::json score_file_json(const ScoreFile& scores) {
  const auto layers = static_cast<std::size_t>(scores.layers);
  json out = {{"format", kFormat},        {"version", kVersion},       {"model", scores.model},
              {"layers", scores.layers},  {"samples", scores.samples}, {"settings", scores.settings},
              {"metrics", json::object()}};
  for (const auto& [name, score] : scores.metrics) out["metrics"][name] = score_json(score, layers);
  for (const auto& [n, score] : scores.angular) {
    if (n < 1 || n > scores.layers) throw internal_error("an angular block is longer than the decoder");
    out["angular"][std::to_string(n)] = score_json(score, layers - static_cast<std::size_t>(n) + 1);
  }
  if (!scores.image_attention_heads.empty()) {
    if (scores.image_attention_heads.size() != layers)
      throw internal_error("image attention does not have every layer");
    out["image_attention_heads"] = json::array();
    for (const Score& layer : scores.image_attention_heads) {
      out["image_attention_heads"].push_back(score_json(layer, layer.mean.size()));
    }
  }
  for (const auto& [name, score] : scores.param_change_linears) {
    out["param_change_linears"][name] = score_json(score, layers);
  }
  if (scores.tokens) out["tokens"] = token_counts_json(*scores.tokens, layers);
  if (scores.decoder) {
    const DecoderShape& d = *scores.decoder;
    out["decoder"] = {{"hidden", d.hidden}, {"mlp", d.mlp}, {"heads", d.heads}, {"kv_heads", d.kv_heads}};
  }
  return out;
}

void write_score_file(const ScoreFile& scores, AtomicFile& file) {
  file.write(score_file_json(scores).dump(1, ' ', false, json::error_handler_t::replace) + "\n");
  file.commit();
}

}  // namespace striate
