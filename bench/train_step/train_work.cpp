#include "bench/train_step/train_work.h"

#include <ATen/ops/empty.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/text/conversation.h"

namespace striate::bench {
namespace {

at::Tensor read_features(const std::string& file, std::int64_t samples, std::int64_t rows, std::int64_t hidden) {
  const std::string bytes = read_file(file, std::uint64_t{1} << 34);
  at::Tensor features = at::empty({samples, rows, hidden}, at::TensorOptions(at::kFloat));
  if (bytes.size() != features.nbytes())
    throw invalid_input(file + ": not the size that the work file says", "write both anew");
  std::memcpy(features.data_ptr(), bytes.data(), bytes.size());
  return features;
}

}  // namespace

TrainWork::TrainWork(const std::filesystem::path& file) {
  const nlohmann::json work = nlohmann::json::parse(read_file(file));
  const nlohmann::json& samples = work.at("samples");
  const at::Tensor features = read_features(work.at("features"), static_cast<std::int64_t>(samples.size()),
                                            work.at("image_tokens"), work.at("vision_hidden"));
  if (work.at("image_token") != kImageToken)
    throw invalid_input(file.string() + ": another image token than Striate's", "write it with run.py");
  for (const nlohmann::json& entry : samples) {
    Sample sample;
    sample.input_ids = entry.at("ids").get<std::vector<std::int64_t>>();
    sample.labels = entry.at("labels").get<std::vector<std::int64_t>>();
    sample.images = {features[static_cast<std::int64_t>(samples_.size())]};
    samples_.push_back(std::move(sample));
  }
}

PackedBatch TrainWork::stream(const std::vector<std::size_t>& samples, at::ScalarType dtype) const {
  std::vector<Sample> chosen;
  for (const std::size_t index : samples) chosen.push_back(samples_.at(index));
  PackedBatch batch = pack(chosen);
  batch.image_features = batch.image_features.to(dtype);
  return batch;
}

}  // namespace striate::bench
