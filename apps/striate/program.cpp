#include "apps/striate/program.h"

#include "apps/striate/command_line.h"
#include "apps/striate/version.h"

namespace striate::app {

std::string example(const std::string& text) {
  return "Example:\n  " + text;
}

std::unique_ptr<CLI::App> make_program(Invocation& run) {
  auto program =
      std::make_unique<CLI::App>("Find, train and prune the visual region of vision-language models.", "striate");
  CLI::App& app = *program;
  app.set_version_flag("--version", version_text,
                       "Show the versions, instruction sets and GPUs that the program uses here");
  app.add_flag("--debug", run.debug, "Show where an error came from, and LibTorch's own messages");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(example("striate inspect --model llava-1.5-7b-hf"));
  add_inspect(app, run);
  add_init(app, run);
  add_tokenize(app, run);
  add_chat(app, run);
  add_predict(app, run);
  add_train(app, run);
  add_heal(app, run);
  add_prune(app, run);
  add_data(app, run);
  add_plan(app, run);
  add_region(app, run);
  add_export(app, run);
  add_score(app, run);
  add_revert(app, run);
  add_mini(app, run);
  add_eval(app, run);
  add_study(app, run);
  add_completion(app, run);
  add_help(app, run);
  add_manual(app, run);
  return program;
}

std::optional<int> parse_arguments(CLI::App& program, int argc, char** argv, Invocation& run) {
  require_known_command(program, argc, argv);
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return program.exit(success);
  } catch (const CLI::ParseError& bad) {
    if (answered_with_help(program, argc, argv)) return 0;
    throw usage_error(program, bad, argc, argv);
  }
  run.command = program.get_subcommands().front()->get_name();
  return std::nullopt;
}

}  // namespace striate::app
