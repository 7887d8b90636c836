// striate region: which layers a layer set names, as lists and as stripes.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/striate/command.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/config.h"
#include "striate/region/layer_set.h"
#include "striate/region/score_file.h"

namespace striate::app {
namespace {

struct RegionFlags {
  std::vector<std::string> specs;
  std::int64_t layers_total = 0;
  std::string model, scores, share = "25%";
  bool json = false;
};

// One line of the table; `refusal` says why the spec names nothing at this depth.
struct Row {
  std::string spec;
  std::vector<std::int64_t> layers;
  std::string refusal;
};

// The decoder whose layers are named: a model's, or of a depth alone.
struct Depth {
  std::int64_t layers = 0;
  std::optional<DecoderConfig> decoder;

  std::vector<std::int64_t> parse(const std::string& spec) const {
    return decoder ? parse_layer_set(spec, *decoder) : parse_layer_set(spec, layers);
  }
};

Depth depth(const RegionFlags& flags) {
  constexpr std::int64_t kMostLayers = 100'000;
  if (flags.model.empty() == (flags.layers_total == 0)) {
    throw invalid_input("striate region needs the decoder's depth: --layers-total or --model",
                        "write --layers-total 32, or --model DIR to take it from config.json, not both");
  }
  if (!flags.model.empty()) {
    const DecoderConfig decoder = read_model_config(flags.model).decoder;
    return {decoder.layers, decoder};
  }
  if (flags.layers_total < 1 || flags.layers_total > kMostLayers) {
    throw invalid_input(cat("--layers-total ", flags.layers_total, ": no decoder has so many layers"),
                        cat("give 1 to ", kMostLayers));
  }
  return {flags.layers_total, std::nullopt};
}

// Every rule of the grammar at `share` of the layers, with the metrics of the score file when there is one.
std::vector<std::string> every_spec(const RegionFlags& flags) {
  const std::string& k = flags.share;
  std::vector<std::string> specs = {"all",
                                    cat("uniform:", k),
                                    "paper",
                                    "authors-script",
                                    cat("bottom:", k),
                                    cat("mid-bottom:", k),
                                    cat("mid-top:", k),
                                    cat("top:", k),
                                    cat("bottom-top:", k),
                                    cat("random:", k, ":1")};
  if (!flags.scores.empty()) {
    for (const std::string& metric : read_score_file(flags.scores).metric_names()) {
      specs.push_back(cat("score:", flags.scores, ":", metric, ":", k));
      specs.push_back(cat("stratified:", flags.scores, ":", metric, ":", k));
    }
  }
  return specs;
}

// The table of every rule goes on where one does not fit this depth; a spec that was asked for must fit.
std::vector<Row> table(const RegionFlags& flags, const Depth& depth) {
  std::vector<Row> rows;
  for (const std::string& spec : flags.specs) rows.push_back({spec, depth.parse(spec), {}});
  if (!flags.specs.empty()) return rows;
  depth.parse(cat("uniform:", flags.share));  // a bad --share is the user's mistake, not a rule's
  for (const std::string& spec : every_spec(flags)) {
    try {
      rows.push_back({spec, depth.parse(spec), {}});
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInvalidInput) throw;
      const std::string what = error.what();
      const std::string prefix = cat("layer set \"", spec, "\": ");
      rows.push_back({spec, {}, what.starts_with(prefix) ? what.substr(prefix.size()) : what});
    }
  }
  return rows;
}

void print_json(const std::vector<Row>& rows, std::int64_t layers) {
  nlohmann::json out = {{"layers_total", layers}, {"sets", nlohmann::json::array()}};
  for (const Row& row : rows) {
    nlohmann::json set = {{"spec", row.spec}, {"layers", row.layers}, {"stripes", stripes(row.layers, layers)}};
    if (!row.refusal.empty()) set["refused"] = row.refusal;
    out["sets"].push_back(std::move(set));
  }
  std::cout << out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

void print_table(const std::vector<Row>& rows, std::int64_t layers) {
  constexpr std::int64_t kWidestPicture = 100;  // deeper decoders would not fit a line
  std::size_t width = 0;
  for (const Row& row : rows) width = std::max(width, row.spec.size());
  std::cout << layers << (layers == 1 ? " layer" : " layers") << ", bottom (0) to top (" << layers - 1 << ")\n";
  for (const Row& row : rows) {
    std::cout << "  " << std::left << std::setw(static_cast<int>(width)) << row.spec << "  ";
    if (!row.refusal.empty()) {
      std::cout << "(" << row.refusal << ")\n";
      continue;
    }
    if (layers <= kWidestPicture) std::cout << stripes(row.layers, layers) << "  ";
    std::cout << std::right << std::setw(3) << row.layers.size() << "  " << layer_list_text(row.layers) << '\n';
  }
  std::cout.flush();
}

void run_region(const RegionFlags& flags) {
  const Depth decoder = depth(flags);
  const std::int64_t layers = decoder.layers;
  const std::vector<Row> rows = table(flags, decoder);
  flags.json ? print_json(rows, layers) : print_table(rows, layers);
}

}  // namespace

void add_region(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<RegionFlags>();
  CLI::App* command = app.add_subcommand("region", "Show which layers a layer set names");
  command->add_option("--layers,--strategy", flags->specs, "Layer sets (docs/regions.md); without: every rule")
      ->type_name("SPEC")
      ->expected(1, CLI::detail::expected_max_vector_size);
  command->add_option("--layers-total", flags->layers_total, "Layers of the decoder")->type_name("L");
  command->add_option("--model", flags->model, "Take the number of layers from this checkpoint")->type_name("DIR");
  command->add_option("--share", flags->share, "How many layers the rules take where no set is given")
      ->type_name("K|P%")
      ->capture_default_str();
  command->add_option("--scores", flags->scores, "Show what the metrics of this score file choose as well")
      ->type_name("FILE");
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer(example("striate region --layers-total 32 --layers paper uniform:25% 0,4,8-11"));
  command->callback([flags, &run] { run.action = [flags] { run_region(*flags); }; });
}

}  // namespace striate::app
