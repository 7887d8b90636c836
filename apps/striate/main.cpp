// The program: parses the command line, runs one command, and turns errors into a line, a hint and an exit code.
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>

#include "apps/striate/flag_names.h"
#include "apps/striate/libtorch_messages.h"
#include "apps/striate/passive_waiting.h"
#include "apps/striate/program.h"
#include "apps/striate/standard_streams.h"
#include "striate/base/error.h"
#include "striate/base/mapped_files.h"
#include "striate/base/memory.h"
#include "striate/base/strings.h"
#include "striate/tensor/torch_errors.h"

namespace striate::app {

namespace {

void report(const std::string& message, const std::string& hint) {
  std::cout.flush();
  std::cerr << "error: " << printable_lines(with_flags(message)) << '\n';
  if (!hint.empty()) std::cerr << "hint: " << printable_lines(with_flags(hint)) << '\n';
}

int run_program(int argc, char** argv, Invocation& run) {
  const std::unique_ptr<CLI::App> program = make_program(run);
  if (const std::optional<int> answered = parse_arguments(*program, argc, argv, run)) return *answered;
  show_libtorch_messages(run.debug);
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
  using striate::app::report;
  striate::app::Invocation run;
  std::optional<striate::app::StandardStreams> streams;
  try {
    // A file that is cut short while it is mapped, and one that may not grow, end in an error line.
    striate::explain_cut_files();
    std::signal(SIGXFSZ, SIG_IGN);  // write() then fails with EFBIG
    streams.emplace();
    const int code = striate::app::run_program(argc, argv, run);
    streams->finish();
    return code;
  } catch (const std::exception& error) {
    const striate::Error ours = striate::explain(error, striate::app::memory_hint(run.command));
    report(ours.what(), ours.hint());
    if (run.debug) std::cerr << striate::app::libtorch_text(error);
    return ours.exit_code();
  }
}
