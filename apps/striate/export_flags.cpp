#include "apps/striate/export_flags.h"

#include <ATen/Parallel.h>

#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>

#include "apps/striate/flag_ranges.h"
#include "striate/base/byte_size.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate::app {

void OutputFlags::add_to(CLI::App& command) {
  command.add_option("--out", out, "Folder to create")->required()->type_name("DIR");
  command.add_option("--dtype", dtype, "Type of the weights: keep (the source's types), fp32, fp16 or bf16")
      ->capture_default_str();
  command.add_option("--max-shard-size", shard, "Maximum size of a weight file")->capture_default_str();
  command.add_flag("--no-verify", no_verify, "Skip the comparison of the result's logits with the source's");
  command.add_option("--threads", threads, "Number of CPU threads; 0: one per core")
      ->check(whole_number(0, kMostThreads))
      ->capture_default_str();
}

std::optional<at::ScalarType> OutputFlags::type() const {
  if (dtype == "keep") return std::nullopt;
  if (dtype == "fp32") return at::kFloat;
  if (dtype == "fp16") return at::kHalf;
  if (dtype == "bf16") return at::kBFloat16;
  throw invalid_input(cat("--dtype ", dtype, ": unknown type"), "known: keep, fp32, fp16, bf16");
}

OutputRequest OutputFlags::request() const {
  if (threads > 0) at::set_num_threads(threads);
  OutputRequest request;
  request.out = out;
  request.dtype = type();
  request.max_shard_bytes = parse_bytes(shard, "--max-shard-size");
  request.verify = !no_verify;
  request.progress = [bar = std::make_shared<WritingProgress>()](std::uint64_t done, std::uint64_t total) {
    (*bar)(done, total);
  };
  return request;
}

void WritingProgress::operator()(std::uint64_t done, std::uint64_t total) {
  constexpr std::uint64_t kWorthShowing = 1'000'000'000;
  if (total < kWorthShowing) return;
  if (!bar_) bar_.emplace("Writing", total, ProgressOptions::standard_error("B"));
  bar_->advance(done - shown_);
  shown_ = done;
  if (done == total) bar_->finish();
}

std::string check_text(const ExportCheck& check) {
  const LogitsDifference& difference = check.difference;
  std::ostringstream text;
  text << std::setprecision(3) << "largest difference " << difference.largest << " (" << difference.relative()
       << " of the largest logit, " << check.tolerance << " allowed), same token at " << difference.same_token << " of "
       << difference.positions << " positions";
  return text.str();
}

nlohmann::json check_json(const std::optional<ExportCheck>& check) {
  if (!check) return nullptr;
  const LogitsDifference& difference = check->difference;
  return {{"largest", difference.largest},
          {"relative", difference.relative()},
          {"largest_logit", difference.largest_logit},
          {"tolerance", check->tolerance},
          {"input", difference.input},
          {"positions", difference.positions},
          {"same_token", difference.same_token}};
}

void print_written(const std::string& out, Family family, const FolderResult& result) {
  std::cout << "wrote " << out << ": " << family_name(family) << ", " << counted(result.tensors, "tensor") << ", "
            << human_bytes(result.bytes) << " in " << counted(result.weight_files, "file") << '\n';
  constexpr double kWorthSaying = 0.98;
  if (result.change_kept && *result.change_kept < kWorthSaying) {
    std::cout << "note: after rounding, " << static_cast<int>(100 * *result.change_kept)
              << "% of the adapter's change to the weights remains; --dtype fp32 keeps all of it\n";
  }
}

}  // namespace striate::app
