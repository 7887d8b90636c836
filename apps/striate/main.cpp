// The program: parses the command line, runs one command, and turns errors into a line, a hint and an exit code.
#include <cstdlib>
#include <exception>
#include <iostream>
#include <new>

#include "apps/striate/command.h"
#include "apps/striate/passive_waiting.h"
#include "striate/base/error.h"
#include "striate/base/memory.h"
#include "striate/base/strings.h"

namespace striate::app {

std::string example(const std::string& text) {
  return "Example:\n  " + text;
}

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

void report(const std::string& message, const std::string& hint) {
  std::cout.flush();
  std::cerr << "error: " << message << '\n';
  if (!hint.empty()) std::cerr << "hint: " << hint << '\n';
}

// LibTorch's errors carry a backtrace after the first line; people get the line, --debug the rest.
std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::vector<std::string> known_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!sub->get_name().empty()) names.push_back(sub->get_name());
  }
  return names;
}

std::string usage_hint(const CLI::App& app, int argc, char** argv) {
  if (argc > 1 && argv[1][0] != '-') {
    const std::string command = argv[1];
    for (const std::string& name : known_names(app)) {
      if (name == command) return "see 'striate " + name + " --help'";
    }
    const std::string nearest = nearest_name(command, known_names(app));
    if (!nearest.empty()) return "did you mean 'striate " + nearest + "'?";
  }
  return "see 'striate --help'";
}

int run_program(int argc, char** argv, bool& debug) {
  CLI::App app("Find, train and prune the visual region of vision-language models.", "striate");
  app.set_version_flag("--version", std::string("striate ") + STRIATE_VERSION);
  app.add_flag("--debug", debug, "Show where an error came from");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(example("striate inspect --model llava-1.5-7b-hf"));

  Run run;
  add_inspect(app, run);
  add_init(app, run);
  add_tokenize(app, run);
  add_chat(app, run);
  add_train(app, run);
  add_data(app, run);
  add_plan(app, run);
  add_region(app, run);
  add_export(app, run);
  add_revert(app, run);
  add_mini(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& bad) {
    report(first_line(bad.what()), usage_hint(app, argc, argv));
    return kUsage;
  }
  if (run.computes) {
    wait_passively(argv);
    keep_freed_memory();
  }
  run.action();
  return run.exit_code;
}

}  // namespace
}  // namespace striate::app

int main(int argc, char** argv) {
  using striate::app::first_line;
  using striate::app::report;
  bool debug = false;
  std::ios::sync_with_stdio(false);
  try {
    return striate::app::run_program(argc, argv, debug);
  } catch (const striate::Error& error) {
    report(error.what(), error.hint());
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    report("out of memory", "use a smaller model or --precision bf16");
  } catch (const std::exception& error) {
    report("internal: " + (debug ? std::string(error.what()) : first_line(error.what())),
           "this is a bug in striate: please report it with the command you ran (--debug shows more)");
  }
  return striate::app::kFailed;
}
