// striate.json: what was done to a model or an adapter, and to the models that it was made from.
//
//   made_by, version    the command and the release that wrote the file
//   base                the folder that it was made from
//   stage, tune, seed, steps, settings, teacher   of a training run
//   region              LayerSet::record(): the layers that the run tuned
//   layers              once layers have been removed: {"of", "original", "removed", "removed_now"}, all by the numbers
//                       of the model that it began as; original[i] is what layer i was
//   image_aspect        how training prepared pictures: "pad" or "crop"
//   base_weights        of an adapter: what identifies the model that it was tuned on
//   adapter             an adapter that was merged, with its own "history"
//   base_history        the record of the model in `base`
//
// Commands add notes for people under keys of their own ("pruning", "reverted"). A field is checked when it is asked
// for, so that damage in one does not hide the others; fields that are not known stay as they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "striate/model/fingerprint.h"
#include "striate/model/layer_set.h"

namespace striate {

// The model that an adapter was tuned on.
struct BaseWeights {
  std::int64_t layers = 0;
  std::optional<DecoderFingerprint> decoder;  // absent: written by an early release, which told the layers alone
};

// An adapter that was merged into a model.
struct MergedAdapter {
  std::string folder;
  std::int64_t rank = 0;
  double alpha = 0;
  std::vector<std::int64_t> layers;  // ascending
};

// A run of training.
struct TrainingRecord {
  std::string stage;  // "align", "tune", "pretrain"
  std::string tune;   // "lora", "full", "projector"; empty: not a tuning
  std::uint64_t seed = 0;
  std::int64_t steps = 0;
  nlohmann::json settings;
  std::string teacher;  // its folder; empty: none
};

class ModelRecord {
 public:
  // Nothing said yet.
  ModelRecord();
  // `where` names the file in errors.
  ModelRecord(nlohmann::json fields, std::string where);
  // striate.json, or another file of this kind, in `folder`; nullopt without one. Throws CorruptData when it is not
  // JSON.
  static std::optional<ModelRecord> find(const std::filesystem::path& folder, const char* name = "striate.json");
  // Writes striate.json into `folder`, which is Striate's own. Throws ResourceError.
  void write(const std::filesystem::path& folder) const;

  const nlohmann::json& fields() const { return *fields_; }
  const std::string& where() const { return where_; }

  // Empty where it is not said.
  std::string base() const;
  // Throws CorruptData for another value than "pad" and "crop".
  std::optional<bool> pads() const;
  // nullopt where the record tells nothing of a base. Throws CorruptData for a damaged one.
  std::optional<BaseWeights> base_weights() const;
  // The layers that this run tuned; nullopt for records of something else, and for runs that tuned no layers (aligning,
  // healing the projector alone). Throws CorruptData for a region that contradicts itself.
  bool tuned_layers() const;
  LayerSet region() const;
  // Of the model it all began as, the layers that are left: entry i is what layer i was. A model that was never pruned
  // is its own origin. Throws CorruptData when the record is of a model with another number of layers than `layers`.
  LayerSet origin(std::int64_t layers) const;
  // The records of the model it was made from, and of an adapter that was merged into it.
  std::optional<ModelRecord> base_record() const;
  std::optional<ModelRecord> adapter_record() const;

  void set_made_by(const std::string& command, const std::string& version);
  void set_base(const std::filesystem::path& folder);
  void set_training(const TrainingRecord& training);
  void set_region(const LayerSet& layers);
  // `origin` and `removed_now` by the numbers of the model it began as.
  void set_origin(const LayerSet& origin, const std::vector<std::int64_t>& removed_now);
  void set_pads(bool pads);
  void set_base_weights(const BaseWeights& base);
  void set_adapter(const MergedAdapter& adapter, const std::optional<ModelRecord>& history);
  void set_base_record(const ModelRecord& record);
  void note(const char* key, nlohmann::json value);

 private:
  // A part of the same file.
  ModelRecord(std::shared_ptr<const nlohmann::json> fields, std::string where);
  std::optional<ModelRecord> part(const char* key) const;

  std::shared_ptr<const nlohmann::json> fields_;
  std::string where_;
};

}  // namespace striate
