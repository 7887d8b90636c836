// striate region: which layers a layer set names, as lists and as stripes.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/striate/command.h"
#include "apps/striate/flag_names.h"
#include "apps/striate/flag_ranges.h"
#include "apps/striate/unread_flags.h"
#include "striate/base/strings.h"
#include "striate/model/config_bounds.h"
#include "striate/region/region_table.h"

namespace striate::app {
namespace {

struct RegionFlags {
  std::vector<std::string> specs;
  std::optional<std::int64_t> layers_total;
  std::string model, scores, share = "25%";
  bool json = false;
};

RegionRequest request_of(const RegionFlags& flags) {
  RegionRequest request;
  if (!flags.model.empty()) request.model = flags.model;
  request.layers_total = flags.layers_total;
  request.sets = flags.specs;
  request.share = flags.share;
  if (!flags.scores.empty()) request.scores = flags.scores;
  return request;
}

void print_json(const RegionTable& table) {
  nlohmann::json out = {{"layers_total", table.layers}, {"sets", nlohmann::json::array()}};
  for (const RegionRow& row : table.rows) {
    nlohmann::json set = {{"spec", row.spec}, {"layers", row.layers.numbers()}, {"stripes", row.layers.stripes()}};
    if (!row.refusal.empty()) set["refused"] = with_flags(row.refusal);
    out["sets"].push_back(std::move(set));
  }
  std::cout << out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

void print_table(const RegionTable& table) {
  const std::int64_t layers = table.layers;
  constexpr std::int64_t kWidestPicture = 100;  // deeper decoders would not fit a line
  std::size_t width = 0;
  for (const RegionRow& row : table.rows) width = std::max(width, printable(row.spec).size());
  std::cout << counted(layers, "layer") << ", bottom (0) to top (" << layers - 1 << ")\n";
  for (const RegionRow& row : table.rows) {
    std::cout << "  " << std::left << std::setw(static_cast<int>(width)) << printable(row.spec) << "  ";
    if (!row.refusal.empty()) {
      std::cout << "(" << with_flags(row.refusal) << ")\n";
      continue;
    }
    if (layers <= kWidestPicture) std::cout << row.layers.stripes() << "  ";
    std::cout << std::right << std::setw(3) << row.layers.size() << "  " << row.layers.list() << '\n';
  }
  std::cout.flush();
}

void run_region(const RegionFlags& flags, const CLI::App& command) {
  if (!flags.specs.empty()) {
    refuse_unread(
        command, {"--share", "--scores"}, "does not apply to --layers",
        "leave out --layers to see the rules, or name the layers in full: uniform:25%, score:FILE:METRIC:25%");
  }
  const RegionTable table = region_table(request_of(flags));
  flags.json ? print_json(table) : print_table(table);
}

}  // namespace

void add_region(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<RegionFlags>();
  CLI::App* command = app.add_subcommand("region", "Show which layers a layer set contains");
  command
      ->add_option("--layers,--strategy", flags->specs,
                   "Layer sets to show (docs/regions.md); default: one of each rule")
      ->type_name("SPEC")
      ->expected(1, CLI::detail::expected_max_vector_size);
  command->add_option("--layers-total", flags->layers_total, "Number of layers of the decoder")
      ->check(whole_number(1, kMostLayers))
      ->type_name("L");
  command->add_option("--model", flags->model, "Folder of the model whose number of layers is used")->type_name("DIR");
  command->add_option("--share", flags->share, "Number or share of layers that each rule takes if no set is given")
      ->type_name("K|P%")
      ->capture_default_str();
  command->add_option("--scores", flags->scores, "Score file; the layers that its metrics choose are shown as well")
      ->type_name("FILE");
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer(example("striate region --layers-total 32 --layers paper uniform:25% 0,4,8-11"));
  command->callback([flags, command, &run] { run.action = [flags, command] { run_region(*flags, *command); }; });
}

}  // namespace striate::app
