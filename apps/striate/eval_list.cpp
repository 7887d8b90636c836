// striate eval list: what every benchmark measures, what it needs, and its protocols.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/striate/eval.h"
#include "apps/striate/fields.h"
#include "striate/answers/benchmark.h"
#include "striate/base/strings.h"

namespace striate::app {
namespace {

using nlohmann::json;

struct EvalListFlags {
  std::string name;
  bool json = false;
};

std::string decoding_text(const Protocol& protocol) {
  if (protocol.kind == AnswerKind::kLetter) return "the log-probability of each letter; nothing is generated";
  if (protocol.kind == AnswerKind::kRolling) return "the log-probability of the text; nothing is generated";
  std::string text = cat("at most ", protocol.decoding.max_tokens, " tokens, ");
  text += protocol.decoding.temperature > 0 ? cat("sampled at temperature ", protocol.decoding.temperature) : "greedy";
  for (const std::string& stop : protocol.decoding.stop) text += cat(", until ", json(stop).dump());
  return text;
}

std::string_view kind_name(AnswerKind kind) {
  return kind == AnswerKind::kText ? "text" : (kind == AnswerKind::kLetter ? "letter" : "rolling");
}

json benchmark_json(const Benchmark& benchmark) {
  json files = json::array(), protocols = json::array();
  for (const NeededFile& file : benchmark.files) {
    files.push_back({{"names", file.names}, {"what", file.what}, {"from", file.from}, {"optional", file.optional}});
  }
  for (const Protocol& protocol : benchmark.protocols) {
    protocols.push_back({{"name", protocol.name},
                         {"version", protocol.version},
                         {"asking", protocol.asking},
                         {"answers", kind_name(protocol.kind)},
                         {"prompt", protocol.prompt_rule},
                         {"scoring", protocol.scoring},
                         {"max_tokens", protocol.decoding.max_tokens},
                         {"temperature", protocol.decoding.temperature},
                         {"stop", protocol.decoding.stop},
                         {"notes", protocol.notes}});
  }
  return {{"name", benchmark.name},         {"title", benchmark.title}, {"measures", benchmark.measures},
          {"pictures", benchmark.pictures}, {"files", files},           {"kinds", benchmark.kinds},
          {"protocols", protocols}};
}

void print_short(const Benchmark& benchmark) {
  std::vector<std::string> protocols;
  for (const Protocol& protocol : benchmark.protocols) protocols.push_back(protocol.name);
  constexpr std::size_t kMostShown = 6;
  const std::size_t more = protocols.size() > kMostShown ? protocols.size() - kMostShown : 0;
  protocols.resize(protocols.size() - more);
  std::cout << benchmark.name << ": " << benchmark.title << '\n';
  print_field("measures", benchmark.measures);
  print_field("protocols", cat(join(protocols, ", "), more == 0 ? "" : cat(" and ", more, " more")));
}

void print_whole(const Benchmark& benchmark) {
  std::cout << benchmark.name << ": " << benchmark.title << '\n';
  print_field("measures", benchmark.measures);
  for (const NeededFile& file : benchmark.files) {
    print_field(file.optional ? "may use" : "needs", cat(join(file.names, " or "), ": ", file.what));
    print_field("", cat("from ", file.from));
  }
  if (!benchmark.pictures.empty()) print_field("pictures", benchmark.pictures);
  if (!benchmark.kinds.empty()) print_field("split by", join(benchmark.kinds, ", "));
  for (const Protocol& protocol : benchmark.protocols) {
    std::cout << "\nprotocol " << protocol.name << ", version " << protocol.version << '\n';
    print_field("prompt", protocol.prompt_rule);
    print_field("decoding", decoding_text(protocol));
    print_field("scoring", protocol.scoring);
    print_field("answers", cat("shared with every protocol that asks by '", protocol.asking, "'"));
    for (const std::string& note : protocol.notes) print_field("note", note);
  }
}

void run_eval_list(const EvalListFlags& flags) {
  const Benchmark* one = flags.name.empty() ? nullptr : &find_benchmark(flags.name);
  if (flags.json) {
    json list = json::array();
    for (const Benchmark& benchmark : benchmarks()) {
      if (one == nullptr || one == &benchmark) list.push_back(benchmark_json(benchmark));
    }
    print_eval_json({{"benchmarks", list}});
  } else if (one != nullptr) {
    print_whole(*one);
  } else {
    for (const Benchmark& benchmark : benchmarks()) print_short(benchmark);
    std::cout << "striate eval list NAME says which files a benchmark needs and what its protocols do\n";
  }
  std::cout.flush();
}

}  // namespace

void add_eval_list(CLI::App& eval, Invocation& run) {
  const auto flags = std::make_shared<EvalListFlags>();
  CLI::App* command = eval.add_subcommand("list", "Say what every benchmark measures, needs, and is scored by");
  command->add_option("name", flags->name, "One benchmark, with its files and protocols")->type_name("NAME");
  command->add_flag("--json", flags->json, "Print one JSON object and nothing else");
  command->footer(example("striate eval list gqa"));
  command->callback([flags, &run] { run.action = [flags] { run_eval_list(*flags); }; });
}

}  // namespace striate::app
