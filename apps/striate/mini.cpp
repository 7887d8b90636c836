// striate mini: the miniature world.
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/striate/command.h"
#include "apps/striate/flag_ranges.h"
#include "apps/striate/unread_flags.h"
#include "striate/base/progress.h"
#include "striate/base/strings.h"
#include "striate/mini/dataset.h"

namespace striate::app {
namespace {

struct RenderFlags {
  mini::DatasetOptions options;
  std::string out, families = "visual", text_families = "text";
  bool large_only = false, json = false;
};

std::int64_t questions(const std::map<std::string, mini::FamilyCount>& counts) {
  std::int64_t sum = 0;
  for (const auto& [name, count] : counts) sum += count.questions;
  return sum;
}

void print_json(const RenderFlags& flags, const mini::DatasetReport& report) {
  const nlohmann::json out = {{"out", flags.out},
                              {"seed", flags.options.seed},
                              {"train_pictures", report.train_pictures},
                              {"held_out_pictures", report.held_out_pictures},
                              {"test_pictures", report.test_pictures},
                              {"text_samples", report.text_samples},
                              {"train_questions", questions(report.train)},
                              {"held_out_questions", questions(report.held_out)},
                              {"test_questions", questions(report.test)},
                              {"held_out_majority", mini::majority_share(report.held_out)},
                              {"test_majority", mini::majority_share(report.test)},
                              {"bytes", report.bytes}};
  std::cout << out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

void print_report(const RenderFlags& flags, const mini::DatasetReport& report) {
  std::cout << "wrote " << flags.out << ": " << counted(report.train_pictures, "picture") << " with "
            << counted(questions(report.train), "question") << ", " << counted(report.held_out_pictures, "held-out one")
            << " with " << questions(report.held_out) << ", ";
  if (report.test_pictures > 0) {
    std::cout << counted(report.test_pictures, "test picture") << " with " << questions(report.test) << ", ";
  }
  std::cout << counted(report.text_samples, "text") << ", " << human_bytes(report.bytes) << '\n';
  if (report.held_out.empty()) return;
  std::cout << "held out, by family: questions, share of the most common answer\n"
            << std::fixed << std::setprecision(2);
  for (const auto& [name, count] : report.held_out) {
    std::cout << "  " << std::left << std::setw(10) << name << std::right << std::setw(6) << count.questions << "  "
              << count.majority_share() << '\n';
  }
  std::cout << "  " << std::left << std::setw(10) << "all" << std::right << std::setw(6) << questions(report.held_out)
            << "  " << mini::majority_share(report.held_out) << std::endl;
}

void run_render(RenderFlags flags, const CLI::App& command) {
  mini::DatasetOptions& options = flags.options;
  options.families = mini::parse_families(flags.families);
  options.text_families =
      flags.text_families == "none" ? std::vector<mini::Family>() : mini::parse_families(flags.text_families);
  if (options.text == 0) {
    refuse_unread(command, {"--text-families", "--text-family-share"}, "needs --text",
                  "give the number of texts with --text N, or leave it out");
  } else if (options.text_families.empty()) {
    refuse_unread(command, {"--text-family-share"}, "does not apply to --text-families none", "give one of them");
  }
  options.world.small_objects = !flags.large_only;
  std::optional<Progress> bar;
  std::int64_t shown = 0;
  const auto show = [&](std::int64_t done, std::int64_t total) {
    if (!bar) bar.emplace("Rendering", static_cast<std::uint64_t>(total), ProgressOptions::standard_error("pictures"));
    bar->advance(static_cast<std::uint64_t>(done - shown));
    shown = done;
    if (done == total) bar->finish();
  };
  const mini::DatasetReport report = mini::write_dataset(options, flags.out, show);
  flags.json ? print_json(flags, report) : print_report(flags, report);
}

void add_world(CLI::App& command, RenderFlags& flags) {
  const std::string world = "World";
  command.add_option("--grid", flags.options.world.grid, "Number of cells along a side of a scene")
      ->check(whole_number(1, 100))
      ->capture_default_str()
      ->group(world);
  command.add_option("--max-objects", flags.options.world.max_objects, "Maximum number of objects in a picture")
      ->check(whole_number(0, 10000))
      ->capture_default_str()
      ->group(world);
  command.add_option("--labels", flags.options.world.label_share, "Share of the pictures with a printed label")
      ->check(number(0, 1))
      ->capture_default_str()
      ->group(world);
  command.add_flag("--digit-labels", flags.options.world.digit_labels, "Print two digits on every label")->group(world);
  command.add_flag("--large-only", flags.large_only, "Make all objects large")->group(world);
}

void add_render(CLI::App& mini, Invocation& run) {
  const auto flags = std::make_shared<RenderFlags>();
  mini::DatasetOptions& options = flags->options;
  CLI::App* command = mini.add_subcommand("render", "Make pictures, questions and answers (docs/mini.md)");
  command->add_option("--out", flags->out, "Folder to create")->required()->type_name("DIR");
  command->add_option("--train", options.train, "Number of training pictures")
      ->check(whole_number(0, kMostSamples))
      ->capture_default_str();
  command->add_option("--held-out", options.held_out, "Number of held-out pictures")
      ->check(whole_number(0, kMostSamples))
      ->capture_default_str();
  command->add_option("--test", options.test, "Number of test pictures")
      ->check(whole_number(0, kMostSamples))
      ->capture_default_str();
  command->add_option("--text", options.text, "Number of samples without a picture: scenes in words, facts, sums")
      ->check(whole_number(0, kMostSamples))
      ->capture_default_str();
  command->add_option("--seed", options.seed, "Seed of the world; the same seed gives the same files")
      ->check(whole_number(0, kMostSeed))
      ->capture_default_str();
  command
      ->add_option("--families", flags->families,
                   "Families of questions about scenes: names separated by commas, or visual")
      ->capture_default_str();
  command
      ->add_option("--text-families", flags->text_families,
                   "Other families of questions in texts: names separated by commas, text or none")
      ->capture_default_str();
  command
      ->add_option("--text-family-share", options.text_family_share,
                   "Share of the texts that are not about a scene, from 0 to 1")
      ->check(number(0, 1))
      ->capture_default_str();
  command->add_option("--questions", options.questions, "Number of questions per training picture or text")
      ->check(whole_number(0, 1000))
      ->capture_default_str();
  command
      ->add_option("--held-out-questions", options.held_out_questions,
                   "Number of questions per held-out or test picture")
      ->check(whole_number(0, 1000))
      ->capture_default_str();
  add_world(*command, *flags);
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer(example("striate mini render --train 2000 --held-out 300 --families color,shape,count --out mini"));
  command->callback([flags, command, &run] { run.action = [flags, command] { run_render(*flags, *command); }; });
}

}  // namespace

void add_mini(CLI::App& app, Invocation& run) {
  CLI::App* command = app.add_subcommand("mini", "Make data of the miniature world: pictures, questions and answers");
  command->require_subcommand(1);
  command->footer(example("striate mini render --train 2000 --held-out 300 --out mini"));
  add_render(*command, run);
}

}  // namespace striate::app
