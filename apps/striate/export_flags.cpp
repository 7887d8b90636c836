#include "apps/striate/export_flags.h"

#include <ATen/Parallel.h>

#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/init_model.h"

namespace striate::app {

void OutputFlags::add_to(CLI::App& command) {
  command.add_option("--out", out, "The folder to make")->required()->type_name("DIR");
  command.add_option("--dtype", dtype, "Type of the weights: keep (each as in the source), fp32, fp16, bf16")
      ->capture_default_str();
  command.add_option("--max-shard-size", shard, "Largest weight file")->capture_default_str();
  command.add_flag("--no-verify", no_verify, "Do not compare the result's logits with the source's");
  command.add_option("--threads", threads, "CPU threads; 0: as many as there are cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

std::optional<at::ScalarType> OutputFlags::type() const {
  if (dtype == "keep") return std::nullopt;
  if (dtype == "fp32") return at::kFloat;
  if (dtype == "fp16") return at::kHalf;
  if (dtype == "bf16") return at::kBFloat16;
  throw invalid_input(cat("--dtype ", dtype, ": unknown type"), "known: keep, fp32, fp16, bf16");
}

FolderOptions OutputFlags::options() const {
  if (threads > 0) at::set_num_threads(threads);
  FolderOptions options;
  options.dtype = type();
  options.max_shard_bytes = parse_bytes(shard, "--max-shard-size");
  options.progress = [bar = std::make_shared<WritingProgress>()](std::uint64_t done, std::uint64_t total) {
    (*bar)(done, total);
  };
  return options;
}

void WritingProgress::operator()(std::uint64_t done, std::uint64_t total) {
  constexpr std::uint64_t kWorthShowing = 1'000'000'000;
  if (total < kWorthShowing) return;
  if (!bar_) bar_.emplace("Writing", total, ProgressOptions::standard_error("B"));
  bar_->advance(done - shown_);
  shown_ = done;
  if (done == total) bar_->finish();
}

std::string ExportCheck::text() const {
  std::ostringstream text;
  text << std::setprecision(3) << "largest difference " << difference.largest << " (" << difference.relative()
       << " of the largest logit, " << tolerance << " allowed), same token at " << difference.same_token << " of "
       << difference.positions << " positions";
  return text.str();
}

nlohmann::json ExportCheck::json() const {
  return {{"largest", difference.largest},
          {"relative", difference.relative()},
          {"largest_logit", difference.largest_logit},
          {"tolerance", tolerance},
          {"input", difference.input},
          {"positions", difference.positions},
          {"same_token", difference.same_token}};
}

ExportCheck check_export(const std::vector<ProbeInput>& inputs, const std::vector<at::Tensor>& reference,
                         const ModelPaths& written, double rounding, const std::string& out) {
  const Checkpoint checkpoint = open_checkpoint(written);
  const ExportCheck check{compare_logits(inputs, reference, probe_logits(checkpoint, inputs)),
                          logits_tolerance(rounding, checkpoint.config.decoder.layers)};
  require_same_logits(check.difference, check.tolerance, out);
  return check;
}

void print_written(const std::string& out, const Checkpoint& source, const FolderResult& result) {
  std::cout << "wrote " << out << ": " << family_name(source.config.family) << ", " << result.tensors << " tensors, "
            << human_bytes(result.bytes) << " in " << result.weight_files
            << (result.weight_files == 1 ? " file\n" : " files\n");
  constexpr double kWorthSaying = 0.98;
  if (result.change_kept && *result.change_kept < kWorthSaying) {
    std::cout << "note: rounding left " << static_cast<int>(100 * *result.change_kept)
              << "% of the adapter's change of weights; --dtype fp32 keeps all of it\n";
  }
}

}  // namespace striate::app
