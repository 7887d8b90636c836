// machine_rates: prints what this machine can do, as JSON, or answers a benchmark's driver (--serve).
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/entry.h"
#include "bench/line_server.h"
#include "bench/machine_rates.h"
#include "striate/base/error.h"
#include "striate/tensor/matrix.h"

namespace striate::bench {
namespace {

constexpr std::int64_t kRows = 600;
constexpr std::int64_t kHidden = 4096;
constexpr std::int64_t kMlp = 11008;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// Every measurement this program knows, by name: read, fp32_square, fp32_wide, bf16_square, bf16_wide.
class Machine {
 public:
  explicit Machine(std::size_t bytes) : buffer_(bytes) {
    for (const Compute compute : {Compute::kFloat32, Compute::kBFloat16}) {
      const at::ScalarType dtype = compute_dtype(compute);
      products_.try_emplace(compute_name(compute) + "_square", kRows, kHidden, kHidden, dtype);
      products_.try_emplace(compute_name(compute) + "_wide", kRows, kHidden, kMlp, dtype);
    }
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names = {"read"};
    for (const auto& [name, product] : products_) names.push_back(name);
    return names;
  }

  // Bytes or operations per second.
  double measure(const std::string& name, int threads) {
    at::set_num_threads(threads);
    if (name == "read") return buffer_.read_rate();
    const auto found = products_.find(name);
    if (found == products_.end()) throw invalid_input("no measurement " + name, "known: read, bf16_wide, ...");
    return found->second.rate();
  }

 private:
  ReadBuffer buffer_;
  std::map<std::string, MatrixProduct> products_;
};

nlohmann::json measure_all(Machine& machine, const std::vector<int>& threads, int repeats) {
  std::map<std::pair<int, std::string>, std::vector<double>> rates;
  for (int repeat = -1; repeat < repeats; ++repeat) {  // the first round warms up
    for (const int n : threads) {
      for (const std::string& name : machine.names()) {
        const double rate = machine.measure(name, n);
        if (repeat >= 0) rates[{n, name}].push_back(rate);
      }
    }
  }
  nlohmann::json rows = nlohmann::json::array();
  for (const int n : threads) {
    const auto giga = [&](const std::string& name) { return median(rates.at({n, name})) / 1e9; };
    rows.push_back(
        {{"threads", n},
         {"read_gb_per_s", giga("read")},
         {"fp32_gflop_per_s", {{"600x4096x4096", giga("fp32_square")}, {"600x4096x11008", giga("fp32_wide")}}},
         {"bf16_gflop_per_s", {{"600x4096x4096", giga("bf16_square")}, {"600x4096x11008", giga("bf16_wide")}}}});
  }
  return {{"cpu", cpu_description()}, {"best_compute", compute_name(best_compute())}, {"rates", rows}};
}

int run(int argc, char** argv) {
  CLI::App app("What this machine can do: reading memory and multiplying matrices.", "machine_rates");
  std::vector<int> threads = {1, at::get_num_threads()};
  double gigabytes = 2.0;
  int repeats = 7;
  bool serving = false;
  app.add_option("--threads", threads, "Numbers of threads to measure with")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024));
  app.add_option("--gigabytes", gigabytes, "Memory to read; much more than the caches hold")
      ->check(CLI::Range(0.1, 1024.0))
      ->capture_default_str();
  app.add_option("--repeats", repeats, "Measurements of each rate; the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--serve", serving, R"(Answer lines such as {"measure": "read", "threads": 1})");
  CLI11_PARSE(app, argc, argv);

  threads.erase(std::unique(threads.begin(), threads.end()), threads.end());
  Machine machine(static_cast<std::size_t>(gigabytes * 1e9));
  if (serving) {
    serve({{"measurements", machine.names()}}, [&](const nlohmann::json& command) -> nlohmann::json {
      return {{"rate", machine.measure(command.at("measure"), command.at("threads"))}};
    });
    return 0;
  }
  std::cout << measure_all(machine, threads, repeats).dump(2) << std::endl;
  return 0;
}

}  // namespace
}  // namespace striate::bench

int main(int argc, char** argv) {
  return striate::bench::run_guarded(striate::bench::run, argc, argv);
}
