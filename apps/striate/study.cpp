// striate study: the paper's experiment, whole, as cells that are run, resumed and reported.
#include <ATen/Context.h>

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/striate/cell_processes.h"
#include "apps/striate/command.h"
#include "apps/striate/flag_ranges.h"
#include "apps/striate/model_flags.h"
#include "apps/striate/stop_signals.h"
#include "apps/striate/terminal_notes.h"
#include "apps/striate/unread_flags.h"
#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/progress.h"
#include "striate/base/strings.h"
#include "striate/cuda/gpu_list.h"
#include "striate/study/cell_run.h"
#include "striate/study/collect.h"
#include "striate/study/forecast.h"
#include "striate/study/report.h"
#include "striate/study/schedule.h"
#include "striate/study/status.h"
#include "striate/train/speed_model.h"

namespace striate::app {
namespace {

namespace fs = std::filesystem;
using study::Cell;
using study::CellState;
using study::Study;

constexpr std::int64_t kMostJobs = 1024;
constexpr int kStoppedBySignal = 128;  // + the signal, as shells count it

struct StudyFlags {
  std::string definition, out, cell;
  std::int64_t jobs = 1;
  std::optional<std::int64_t> level;
  bool json = false;
};

void print_json(const nlohmann::json& value) {
  std::cout << json_text(value, 2) << std::endl;
}

study::ReportFiles report_on(const Study& study) {
  return write_report(study::collect_results(study), study.folder.root());
}

void print_report(const study::ReportFiles& files) {
  std::cout << "results  " << files.results.string() << "\nreport   " << files.report.string() << '\n';
  if (!files.summary.empty()) std::cout << files.summary << '\n';
  std::cout.flush();
}

void print_outcome(const Study& study, const study::ScheduleResult& result) {
  std::cout << counted(result.done + result.earlier, "cell") << " of " << study.cells.size() << " done";
  if (result.earlier > 0) std::cout << ", " << result.earlier << " of them before";
  std::cout << '\n';
  for (const std::size_t cell : result.failed) {
    std::cout << "failed   " << study.cells[cell].id << ": "
              << printable(study.folder.failure(study.cells[cell]).value_or("")) << '\n';
  }
  if (!result.not_run.empty()) {
    std::cout << "not run  " << counted(result.not_run.size(), "cell") << " that need what failed\n";
  }
  std::cout.flush();
}

nlohmann::json outcome_json(const Study& study, const study::ScheduleResult& result) {
  nlohmann::json failed = nlohmann::json::array(), not_run = nlohmann::json::array();
  for (const std::size_t cell : result.failed) {
    failed.push_back(
        {{"cell", study.cells[cell].id}, {"reason", study.folder.failure(study.cells[cell]).value_or("")}});
  }
  for (const std::size_t cell : result.not_run) not_run.push_back(study.cells[cell].id);
  return {{"out", study.folder.root().string()},
          {"cells", study.cells.size()},
          {"earlier", result.earlier},
          {"done", result.done},
          {"failed", failed},
          {"not_run", not_run},
          {"report", (study.folder.root() / "report.html").string()},
          {"results", (study.folder.root() / "results.json").string()}};
}

study::ScheduleObserver schedule_lines(const Study& study, bool shown) {
  study::ScheduleObserver observer;
  if (!shown) return observer;
  observer.started = [&study](std::size_t cell) { std::cerr << "start   " << study.cells[cell].id << '\n'; };
  observer.done = [&study](std::size_t cell, const study::CellRecord& record) {
    std::cerr << "done    " << study.cells[cell].id << " in " << human_duration(record.seconds) << '\n';
  };
  observer.failed = [&study](std::size_t cell, const std::string& reason) {
    std::cerr << "failed  " << study.cells[cell].id << ": " << printable(reason) << '\n';
  };
  return observer;
}

int run_study(const StudyFlags& flags) {
  const Study study = study::open_study(existing_path("STUDY.toml", flags.definition), flags.out);
  check_files(study);
  const bool cpu = study.definition.device == "cpu";
  CellProcesses processes(study.definition.threads, cpu ? std::vector<std::string>() : visible_gpus());
  StopFlag stop;
  study::ScheduleResult result;
  {
    const StopSignals signals(stop);
    result = run_cells(study, static_cast<int>(flags.jobs), processes, schedule_lines(study, !flags.json), stop);
  }
  if (result.stop_reason != 0) {
    std::cerr << "stopped: the same command goes on\n";
    return kStoppedBySignal + result.stop_reason;
  }
  flags.json ? print_json(outcome_json(study, result)) : print_outcome(study, result);
  const study::ReportFiles files = report_on(study);
  if (!flags.json) print_report(files);
  return result.failed.empty() ? 0 : 1;
}

int run_study_cell(const StudyFlags& flags) {
  const Study study = study::open_study(flags.out);
  const std::size_t cell = study.find(flags.cell);
  StopFlag stop;
  const StopSignals signals(stop);
  std::optional<Progress> bar;
  std::int64_t before = 0;
  study::CellObserver observer;
  observer.notes = terminal_notes();
  observer.progress = [&](std::int64_t done, std::int64_t total) {
    if (!bar) {
      bar.emplace(name(study.cells[cell].kind), static_cast<std::uint64_t>(total), ProgressOptions::standard_error());
      bar->start_at(static_cast<std::uint64_t>(done));
      before = done;
    }
    if (done > before) bar->advance(static_cast<std::uint64_t>(done - before));
    before = done;
  };
  const int reason = study::run_cell(study, cell, observer, stop);
  if (reason == 0) {
    if (bar) bar->finish();
    std::cout << "done  " << study.folder.cell(study.cells[cell]).string() << std::endl;
    return 0;
  }
  std::cerr << "stopped: the same command goes on\n";
  return kStoppedBySignal + reason;
}

nlohmann::json status_json(const Study& study, const study::StudyStatus& status) {
  nlohmann::json cells = nlohmann::json::array();
  for (std::size_t i = 0; i < study.cells.size(); ++i) {
    nlohmann::json cell = {{"cell", study.cells[i].id}, {"state", name(status.cells[i].state)}};
    if (status.cells[i].record) cell["seconds"] = status.cells[i].record->seconds;
    if (!status.cells[i].failure.empty()) cell["reason"] = status.cells[i].failure;
    cells.push_back(std::move(cell));
  }
  return {{"name", study.definition.name},
          {"done", status.done},
          {"running", status.running},
          {"failed", status.failed},
          {"waiting", status.waiting},
          {"not_run", status.not_run},
          {"seconds_left", status.seconds_left ? nlohmann::json(*status.seconds_left) : nlohmann::json()},
          {"cells", cells}};
}

void show_status(const StudyFlags& flags) {
  const Study study = study::open_study(flags.out);
  const study::StudyStatus status = status_of(study);
  if (flags.json) return print_json(status_json(study, status));
  std::cout << study.definition.name << ": " << status.done << " of " << counted(std::ssize(study.cells), "cell")
            << " done, " << status.running << " running, " << status.waiting << " waiting, " << status.failed
            << " failed, " << status.not_run << " not run for what they need failed\n";
  for (std::size_t i = 0; i < study.cells.size(); ++i) {
    if (status.cells[i].state == CellState::kRunning) std::cout << "running  " << study.cells[i].id << '\n';
    if (status.cells[i].state != CellState::kFailed) continue;
    std::cout << "failed   " << study.cells[i].id << ": " << printable(status.cells[i].failure) << '\n';
  }
  if (status.waiting + status.running > 0) {
    std::cout << "left     "
              << (status.seconds_left ? human_duration(*status.seconds_left) + ", one cell at a time"
                                      : std::string("not known before a cell of every kind is done"))
              << '\n';
  }
  std::cout.flush();
}

void report_study(const StudyFlags& flags) {
  const study::ReportFiles files = report_on(study::open_study(flags.out));
  if (!flags.json) return print_report(files);
  nlohmann::json tables = nlohmann::json::array();
  for (const fs::path& table : files.tables) tables.push_back(table.string());
  print_json({{"results", files.results.string()},
              {"report", files.report.string()},
              {"tables", tables},
              {"summary", files.summary}});
}

// The cells of one kind together.
struct PlannedKind {
  std::string kind;
  std::int64_t cells = 0, disk = 0;
  double seconds = 0;
};

// In the order they are first met.
std::vector<PlannedKind> cells_by_kind(const Study& study, const study::StudyForecast& forecast) {
  std::vector<PlannedKind> kinds;
  for (std::size_t i = 0; i < study.cells.size(); ++i) {
    const std::string kind = name(study.cells[i].kind);
    auto found = std::ranges::find(kinds, kind, &PlannedKind::kind);
    if (found == kinds.end()) found = kinds.insert(kinds.end(), PlannedKind{kind});
    ++found->cells;
    found->disk += forecast.cells[i].disk;
    found->seconds += forecast.cells[i].seconds.value_or(0);
  }
  return kinds;
}

// The machine that the cells would run on.
AskedMachine machine_of(const Study& study) {
  const std::string& device = study.definition.device;
  const bool gpu = device == "cuda" || (device == "auto" && at::hasCUDA());
  const std::vector<cuda::Gpu> gpus = gpu ? cuda::list_gpus() : std::vector<cuda::Gpu>();
  if (gpus.empty()) return {"", find_hardware("this").front()};
  return {"", gpu_hardware(gpus.front().name, gpus.front().memory)};
}

nlohmann::json plan_json(const Study& study, const study::StudyForecast& forecast) {
  nlohmann::json cells = nlohmann::json::array();
  for (std::size_t i = 0; i < study.cells.size(); ++i) {
    nlohmann::json needs = nlohmann::json::array();
    for (const std::size_t need : study.cells[i].needs) needs.push_back(need + 1);
    cells.push_back(
        {{"number", i + 1},
         {"cell", study.cells[i].id},
         {"kind", name(study.cells[i].kind)},
         {"level", study.cells[i].level},
         {"needs", needs},
         {"seconds", forecast.cells[i].seconds ? nlohmann::json(*forecast.cells[i].seconds) : nlohmann::json()},
         {"bytes", forecast.cells[i].disk}});
  }
  return {{"name", study.definition.name},
          {"seconds", forecast.seconds},
          {"all_known", forecast.complete},
          {"bytes", forecast.disk},
          {"cells", cells}};
}

void print_plan_table(const Study& study, const study::StudyForecast& forecast) {
  const auto bytes = [](std::int64_t count) { return human_bytes(static_cast<std::uint64_t>(count)); };
  std::cout << "number  level  predicted  cell\n";
  for (std::size_t i = 0; i < study.cells.size(); ++i) {
    const std::optional<double>& seconds = forecast.cells[i].seconds;
    std::cout << std::right << std::setw(6) << i + 1 << "  " << std::setw(5) << study.cells[i].level << "  "
              << std::setw(9) << (seconds ? human_duration(*seconds) : std::string("-")) << "  " << study.cells[i].id
              << '\n';
  }
  std::cout << '\n' << study.definition.name << ": " << counted(std::ssize(study.cells), "cell") << '\n';
  for (const PlannedKind& kind : cells_by_kind(study, forecast)) {
    std::cout << "  " << std::left << std::setw(8) << kind.kind << std::right << std::setw(5) << kind.cells << "  "
              << std::setw(9) << human_duration(kind.seconds) << "  " << bytes(kind.disk) << '\n';
  }
  std::cout << "predicted  " << human_duration(forecast.seconds) << ", one cell at a time"
            << (forecast.complete ? "" : ", and what is not known") << "\ndisk       " << bytes(forecast.disk);
  if (forecast.features > 0) std::cout << ", of these " << bytes(forecast.features) << " features of pictures";
  std::cout << std::endl;
}

void show_plan(const StudyFlags& flags, const CLI::App& command) {
  if (flags.level) {
    refuse_unread(command, {"--json"}, "does not apply to --level",
                  "leave out --level: --json has the level of a cell");
  }
  const Study study = study::open_study(existing_path("STUDY.toml", flags.definition), flags.out);
  if (!flags.out.empty()) study.folder.begin(study.definition);
  if (flags.level) {
    std::vector<std::string> numbers;
    for (std::size_t i = 0; i < study.cells.size(); ++i) {
      if (study.cells[i].level == *flags.level) numbers.push_back(std::to_string(i + 1));
    }
    std::cout << join(numbers, ",") << std::endl;
    return;
  }
  const study::StudyForecast forecast = study::forecast(study, machine_of(study));
  if (flags.json) return print_json(plan_json(study, forecast));
  print_plan_table(study, forecast);
}

void add_out(CLI::App& command, StudyFlags& flags, bool required = true) {
  CLI::Option* out = command.add_option("--out", flags.out, "Folder of the study")->type_name("DIR");
  if (required) out->required();
}

void add_definition(CLI::App& command, StudyFlags& flags) {
  command.add_option("STUDY.toml", flags.definition, "What the study is: docs/study.md")->type_name("")->required();
}

void add_json(CLI::App& command, StudyFlags& flags) {
  command.add_flag("--json", flags.json, "Print one JSON object and nothing else");
}

void add_running(CLI::App& study, const std::shared_ptr<StudyFlags>& flags, Invocation& run) {
  CLI::App* command = study.add_subcommand("run", "Run every cell of a study that is not done, and report");
  add_definition(*command, *flags);
  add_out(*command, *flags);
  command->add_option("--jobs", flags->jobs, "Cells at a time: as many as there are cores, or GPUs")
      ->check(whole_number(1, kMostJobs))
      ->capture_default_str();
  add_json(*command, *flags);
  command->footer(example("striate study run studies/quick.toml --out quick --jobs 2"));
  command->callback([flags, &run] { run.action = [flags, &run] { run.exit_code = run_study(*flags); }; });

  CLI::App* cell = study.add_subcommand("cell", "Run one cell of a study that was begun, as one job of a cluster");
  cell->add_option("CELL", flags->cell, "Number of striate study plan, or the cell's name")->type_name("")->required();
  add_out(*cell, *flags);
  cell->footer(example("striate study cell 12 --out quick"));
  cell->callback([flags, &run] {
    run.computes = true;
    run.action = [flags, &run] { run.exit_code = run_study_cell(*flags); };
  });
}

void add_looking(CLI::App& study, const std::shared_ptr<StudyFlags>& flags, Invocation& run) {
  CLI::App* plan = study.add_subcommand("plan", "Show the cells of a study before anything runs");
  add_definition(*plan, *flags);
  add_out(*plan, *flags, false);
  plan->add_option("--level", flags->level,
                   "Print only the numbers of the cells of this level; 0: those that need no other cell")
      ->check(whole_number(0, kMostSamples))
      ->type_name("N");
  add_json(*plan, *flags);
  plan->footer(example("striate study plan studies/quick.toml"));
  plan->callback([flags, plan, &run] { run.action = [flags, plan] { show_plan(*flags, *plan); }; });

  CLI::App* status = study.add_subcommand("status", "Show which cells of a study are done, and the time left");
  add_out(*status, *flags);
  add_json(*status, *flags);
  status->footer(example("striate study status --out quick"));
  status->callback([flags, &run] { run.action = [flags] { show_status(*flags); }; });

  CLI::App* report = study.add_subcommand("report", "Collect what a study has measured so far, and report it");
  add_out(*report, *flags);
  add_json(*report, *flags);
  report->footer(example("striate study report --out quick"));
  report->callback([flags, &run] { run.action = [flags] { report_study(*flags); }; });
}

}  // namespace

void add_study(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<StudyFlags>();
  CLI::App* study = app.add_subcommand("study", "Run the paper's experiment on your own models and data");
  study->require_subcommand(1);
  study->footer(example("striate study run studies/quick.toml --out quick"));
  add_running(*study, flags, run);
  add_looking(*study, flags, run);
}

}  // namespace striate::app
