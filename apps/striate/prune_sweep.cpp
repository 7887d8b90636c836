// striate prune --sweep: the cost of every layer that goes, inside and outside the region.
#include "striate/eval/prune_sweep.h"

#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>

#include "apps/striate/held_out_text.h"
#include "apps/striate/prune_flags.h"
#include "apps/striate/result_file.h"
#include "striate/base/progress.h"
#include "striate/base/strings.h"
#include "striate/eval/sweep_report.h"
#include "striate/report/html.h"

namespace striate::app {
namespace {

std::string point_text(const SweepPoint& point, std::int64_t depth) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(4);
  if (point.held_out.benchmark) {
    out << score_text(*point.held_out.benchmark);
  } else {
    out << point.held_out.loss;
    if (point.held_out.questions > 0)
      out << "  " << std::setprecision(1) << std::setw(5) << 100 * point.accuracy() << '%';
  }
  const std::string layers = point.layers.empty() ? std::string("-") : layers_of(point.layers, depth).list();
  out << "  " << layers;
  return out.str();
}

void print_table(const SweepResult& sweep) {
  std::cout << printable(sweep.model) << ": " << sweep.layers << " layers; " << sweep.metric << ", lowest first, from "
            << printable(sweep.scores) << '\n';
  if (const BenchmarkScore* asked = sweep.asked()) {
    std::cout << asked->benchmark << " by " << asked->protocol << ", " << asked->headline.name
              << " with its 95% interval, and the removed layers; " << counted(sweep.samples, "question") << '\n';
  } else {
    std::cout << "held-out loss, exact answers and the removed layers; " << counted(sweep.samples, "sample") << '\n';
  }
  for (const SweepCurve& curve : sweep.curves) {
    std::cout << '\n' << curve.name;
    if (!curve.protected_layers.empty()) {
      std::cout << "  " << curve.protected_layers.stripes() << "  " << curve.protected_layers.list() << " stay";
    }
    std::cout << '\n';
    for (const SweepPoint& point : curve.points) {
      std::cout << std::setw(4) << point.removed << "  " << point_text(point, sweep.layers) << '\n';
    }
  }
  std::cout.flush();
}

}  // namespace

void run_prune_sweep(const PruneFlags& flags, const CLI::App& command) {
  const SweepRequest request = flags.sweep_request(command);
  const std::unique_ptr<AtomicFile> report = open_result("--report", flags.report, flags.overwrite, kHtmlMark);
  std::optional<Progress> bar;
  std::int64_t shown = 0;
  SweepObserver observer;
  if (!flags.json) {
    observer.progress = [&](std::int64_t done, std::int64_t total) {
      if (!bar) bar.emplace("Sweeping", static_cast<std::uint64_t>(total), ProgressOptions::standard_error("models"));
      bar->advance(static_cast<std::uint64_t>(done - shown));
      shown = done;
    };
    observer.evaluated = [&](const SweepCurve& curve, const SweepPoint& point) {
      bar->pause();
      print_held_out(cat(curve.name, ", ", point.removed, " removed"), point.held_out);
      bar->resume();
    };
  }
  const SweepResult sweep = sweep_pruning(request, observer);
  if (bar) bar->finish();
  if (report) {
    report->write(sweep_report(sweep));
    report->commit();
  }
  if (flags.json) {
    std::cout << sweep_json(sweep).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
  } else {
    print_table(sweep);
  }
}

}  // namespace striate::app
