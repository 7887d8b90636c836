// striate inspect: what a checkpoint is and what is wrong with it, from its headers.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>

#include "apps/striate/command.h"
#include "apps/striate/fields.h"
#include "apps/striate/model_flags.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/inspect_model.h"

namespace striate::app {
namespace {

constexpr std::size_t kMostNames = 10;  // of missing tensors and the like; --json lists them all

struct InspectFlags {
  ModelFlags model;
  bool json = false;
};

std::string dtypes_line(const std::map<std::string, Tally>& dtypes) {
  std::vector<std::string> names;
  for (const auto& [name, tally] : dtypes) names.push_back(name);
  return names.empty() ? "-" : join(names, ", ");
}

std::string part_title(Part part) {
  switch (part) {
    case Part::kVisionTower:
      return "vision tower";
    case Part::kProjector:
      return "projector";
    case Part::kDecoder:
      return "decoder";
  }
  throw internal_error("unknown part");
}

void print_row(const std::vector<std::string>& cells) {
  constexpr int kWidths[] = {18, 9, 14, 12};
  std::cout << "  " << std::left << std::setw(kWidths[0]) << cells[0] << std::right;
  for (std::size_t i = 1; i < 4; ++i) std::cout << std::setw(kWidths[i]) << cells[i];
  std::cout << (cells[4].empty() ? "" : "   ") << cells[4] << '\n';
}

// Layers of one size are one line: "layers 0-31", each.
void print_layers(const PartReport& part) {
  const std::vector<Tally>& layers = part.layers;
  for (std::size_t first = 0; first < layers.size();) {
    std::size_t last = first;
    while (last + 1 < layers.size() && layers[last + 1].parameters == layers[first].parameters &&
           layers[last + 1].bytes == layers[first].bytes) {
      ++last;
    }
    const std::string which = first == last ? cat("  layer ", first) : cat("  layers ", first, "-", last, ", each");
    print_row({which, std::to_string(layers[first].tensors), human_count(layers[first].parameters),
               human_bytes(layers[first].bytes), ""});
    first = last + 1;
  }
  if (!layers.empty()) {
    print_row({"  outside layers", std::to_string(part.rest.tensors), human_count(part.rest.parameters),
               human_bytes(part.rest.bytes), ""});
  }
}

void print_parts(const Inspection& report) {
  std::cout << '\n';
  print_row({"part", "tensors", "parameters", "size", "types"});
  for (const PartReport& part : report.parts) {
    print_row({part_title(part.part), std::to_string(part.all.tensors), human_count(part.all.parameters),
               human_bytes(part.all.bytes), dtypes_line(part.dtypes)});
    print_layers(part);
  }
  print_row({"total", std::to_string(report.all.tensors), human_count(report.all.parameters),
             human_bytes(report.all.bytes), dtypes_line(report.dtypes)});
}

// Paths inside the model's folder by their names alone.
void print_files(const Inspection& report) {
  std::vector<std::string> names;
  std::size_t width = 0;
  for (const FileReport& file : report.files) {
    const bool inside = file.path.parent_path() == report.folder;
    names.push_back(printable(inside ? file.path.filename().string() : file.path.string()));
    width = std::max(width, names.back().size());
  }
  std::cout << "\n  files\n";
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::cout << "    " << std::left << std::setw(static_cast<int>(width)) << names[i] << std::right << std::setw(9)
              << human_bytes(report.files[i].bytes) << std::setw(6) << report.files[i].tensors
              << (report.files[i].tensors == 1 ? " tensor\n" : " tensors\n");
  }
}

std::string heads_text(const DecoderConfig& c) {
  const std::string heads = cat(counted(c.heads, "head"), " of ", c.head_dim);
  return c.kv_heads == c.heads ? heads : cat(heads, " (", c.kv_heads, " key-value)");
}

void print_settings(const Inspection& report) {
  const ModelConfig& config = report.config;
  const DecoderConfig& c = config.decoder;
  if (!report.naming.empty()) print_field("naming", report.naming);
  print_field("decoder",
              cat(c.kind == DecoderKind::kPhi3 ? "Phi-3" : "Llama", ", ", counted(c.layers, "layer"), ", width ",
                  c.hidden_size, ", ", heads_text(c), ", MLP ", c.mlp_size, ", vocabulary ", c.vocab_size));
  print_field("context", cat(c.max_positions, " tokens",
                             c.sliding_window ? cat(", sliding window ", *c.sliding_window) : std::string()));
  print_field("embeddings", c.tie_embeddings ? "tied: the head is the embedding" : "not tied");
  if (config.vision) {
    const VisionConfig& v = *config.vision;
    print_field("vision tower",
                cat(v.kind == TowerKind::kClip ? "CLIP ViT" : "SigLIP", ", ", counted(v.layers, "layer"), ", width ",
                    v.hidden_size, ", ", counted(v.heads, "head"), ", MLP ", v.mlp_size));
    const bool pad = report.pixels ? report.pixels->pad_to_square : config.pad_to_square;
    print_field("images", cat(v.image_size, "x", v.image_size, " pixels", pad ? ", padded to a square" : "",
                              ", patches of ", v.patch_size, ": ", counted(v.tokens(), "token"), " each"));
  }
  if (!report.pixels_problem.empty()) print_field("pictures", "cannot be prepared (" + report.pixels_problem + ")");
  if (config.projector) {
    const ProjectorConfig& p = *config.projector;
    print_field("projector", cat(p.depth == 1 ? std::string("linear") : cat("mlp", p.depth, "x_gelu"), ", ", p.in_size,
                                 " to ", p.out_size));
  }
  print_field("tokenizer", report.tokenizer ? *report.tokenizer : "none (" + report.tokenizer_problem + ")");
  print_field("chat template", template_name(default_template(config.family)));
}

template <typename Item, typename Line>
void print_list(const std::string& title, const std::vector<Item>& items, const Line& line) {
  if (items.empty()) return;
  std::cout << "\n  " << title << " (" << items.size() << ")\n";
  for (std::size_t i = 0; i < std::min(items.size(), kMostNames); ++i)
    std::cout << "    " << printable(line(items[i])) << '\n';
  if (items.size() > kMostNames) std::cout << "    ... and " << items.size() - kMostNames << " more (--json)\n";
}

void print_problems(const Inspection& report) {
  const auto mismatch = [](const Mismatch& m) { return cat(m.in_file, ": ", m.found, ", expected ", m.expected); };
  const auto name = [](const std::string& text) { return text; };
  print_list("missing", report.missing,
             [](const TensorSpec& spec) { return cat(spec.name, " (", part_title(spec.part), ")"); });
  print_list("of the wrong shape", report.wrong_shape, mismatch);
  print_list("of a type that weights cannot have", report.wrong_dtype, mismatch);
  print_list("unexpected: the configuration has no such tensor", report.unexpected, name);
  print_list("unused: not a part of the model", report.unused, name);
}

void print_adapter(const AdapterReport& adapter) {
  std::vector<std::string> layers;
  for (const std::int64_t layer : adapter.layers) layers.push_back(std::to_string(layer));
  std::cout << "\n  adapter " << printable(adapter.folder.string()) << '\n';
  print_field("  rank", cat(adapter.rank, ", alpha ", adapter.alpha));
  print_field("  parameters", human_count(adapter.matrices.parameters));
  print_field("  linears", join(adapter.targets, ", "));
  print_field("  layers", join(layers, ","));
}

void print_report(const Inspection& report) {
  std::cout << family_name(report.config.family) << ": " << printable(report.folder.string()) << '\n';
  print_settings(report);
  print_parts(report);
  print_files(report);
  if (report.adapter) print_adapter(*report.adapter);
  print_problems(report);
  std::cout.flush();
}

void run_inspect(const InspectFlags& flags) {
  const Inspection report = inspect_model(flags.model.paths());
  if (flags.json) {
    std::cout << inspection_json(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
  } else {
    print_report(report);
  }
  require_complete(report);  // the report is out; what makes the model unusable is an error all the same
}

}  // namespace

void add_inspect(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<InspectFlags>();
  CLI::App* command = app.add_subcommand("inspect", "Show what a checkpoint consists of and what it lacks");
  flags->model.add_to(*command);
  command->add_flag("--json", flags->json, "Print one JSON object (docs/inspect.md)");
  command->footer(example("striate inspect --model llava-1.5-7b-hf"));
  command->callback([flags, &run] { run.action = [flags] { run_inspect(*flags); }; });
}

}  // namespace striate::app
