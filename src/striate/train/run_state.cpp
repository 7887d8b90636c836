#include "striate/train/run_state.h"

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

std::string shown(const nlohmann::json& settings, const std::string& key) {
  return settings.contains(key) ? settings.at(key).dump() : "not set";
}

}  // namespace

nlohmann::json to_json(const RunState& state) {
  return {{"format", 1},
          {"step", state.step},
          {"updates", state.updates},
          {"skipped_steps", state.skipped_steps},
          {"samples", state.samples},
          {"tokens", state.tokens},
          {"targets", state.targets},
          {"data", position_json(state.data)},
          {"settings", state.settings}};
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
  state.settings = json.at("settings");
  return state;
}

void check_same_settings(const nlohmann::json& saved, const nlohmann::json& wanted, const std::string& where) {
  nlohmann::json keys = saved;
  keys.update(wanted);
  for (const auto& item : keys.items()) {
    const std::string& key = item.key();
    if (saved.contains(key) == wanted.contains(key) && (!saved.contains(key) || saved.at(key) == wanted.at(key))) {
      continue;
    }
    throw invalid_input(cat(setting(key), ": ", shown(wanted, key), " now, ", shown(saved, key), " in ", where),
                        "resume with the settings that the run began with, or start another run with a new `out`");
  }
}

}  // namespace striate
