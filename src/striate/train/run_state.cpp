#include "striate/train/run_state.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "striate/base/error.h"
#include "striate/base/setting.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

nlohmann::json position_json(const DataPosition& data) {
  return {{"epoch", data.epoch},
          {"window_start", data.window_start},
          {"step_in_window", data.step_in_window},
          {"bad_samples", data.bad_samples},
          {"seen_samples", data.seen_samples},
          {"truncated_samples", data.truncated_samples}};
}

std::int64_t count_of(const nlohmann::json& object, const char* key, const std::string& where) {
  if (!object.is_object() || !object.contains(key) || !object.at(key).is_number_integer() ||
      object.at(key).get<std::int64_t>() < 0) {
    throw corrupt_data(cat(where, ": \"", key, "\" is missing or not a count"), "the checkpoint is damaged");
  }
  return object.at(key).get<std::int64_t>();
}

DataPosition parse_position(const nlohmann::json& json, const std::string& where) {
  return {count_of(json, "epoch", where),          count_of(json, "window_start", where),
          count_of(json, "step_in_window", where), count_of(json, "bad_samples", where),
          count_of(json, "seen_samples", where),   count_of(json, "truncated_samples", where)};
}

// As check_same_settings() says of early versions, of the warm-up and of epochs.
bool is_compared(const std::string& key, const nlohmann::json& saved, const nlohmann::json& wanted) {
  // One version began to record all three, and every run of it has a tokenizer.
  constexpr std::array<std::string_view, 3> kLater = {"tokenizer", "teacher-adapter", "warmup-ratio"};
  if (!saved.contains("tokenizer") && std::find(kLater.begin(), kLater.end(), key) != kLater.end()) return false;
  if (key == "epochs") return saved.contains(key) && wanted.contains(key);
  return key != "warmup-ratio" || wanted.contains(key);
}

// The setting that a difference of `key` is told by. A run that recorded no share of a warm-up was given it in steps,
// and the share that is wanted now may be the default, which nobody gave.
std::string told_by(const std::string& key, const nlohmann::json& saved) {
  return key == "warmup-ratio" && !saved.contains(key) ? "warmup-steps" : key;
}

std::string shown(const nlohmann::json& settings, const std::string& key) {
  return settings.contains(key) ? settings.at(key).dump() : "not set";
}

}  // namespace

nlohmann::json to_json(const RunState& state) {
  nlohmann::json json = {{"format", 1},
                         {"step", state.step},
                         {"updates", state.updates},
                         {"skipped_steps", state.skipped_steps},
                         {"samples", state.samples},
                         {"tokens", state.tokens},
                         {"targets", state.targets},
                         {"data", position_json(state.data)},
                         {"settings", state.settings}};
  if (state.owes_evaluation) json["owes_evaluation"] = true;
  return json;
}

RunState parse_run_state(const nlohmann::json& json, const std::string& where) {
  if (count_of(json, "format", where) != 1) {
    throw unsupported(cat(where, ": checkpoint format ", json.at("format").dump(), " is not supported"),
                      "resume with the version of striate that wrote it");
  }
  RunState state;
  state.step = count_of(json, "step", where);
  state.updates = count_of(json, "updates", where);
  state.skipped_steps = count_of(json, "skipped_steps", where);
  state.samples = count_of(json, "samples", where);
  state.tokens = count_of(json, "tokens", where);
  state.targets = count_of(json, "targets", where);
  if (!json.contains("data") || !json.contains("settings") || !json.at("settings").is_object()) {
    throw corrupt_data(where + ": \"data\" or \"settings\" is missing", "the checkpoint is damaged");
  }
  state.data = parse_position(json.at("data"), where);
  state.owes_evaluation = json.contains("owes_evaluation") && json.at("owes_evaluation") == true;
  state.settings = json.at("settings");
  return state;
}

void check_same_settings(const nlohmann::json& saved, const nlohmann::json& wanted, const std::string& where) {
  nlohmann::json keys = saved;
  keys.update(wanted);
  for (const auto& item : keys.items()) {
    const std::string& key = item.key();
    if (!is_compared(key, saved, wanted)) continue;
    if (saved.contains(key) == wanted.contains(key) && (!saved.contains(key) || saved.at(key) == wanted.at(key))) {
      continue;
    }
    const std::string told = told_by(key, saved);
    const std::string now = told == key ? shown(wanted, key) : "not set";
    throw invalid_input(cat(setting(told), ": ", now, " now, ", shown(saved, told), " in ", where),
                        "resume with the settings that the run began with, or start another run with a new `out`");
  }
}

}  // namespace striate
