// What decides the numbers of a cell, as JSON that is hashed into its name: text and numbers of the definition.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "striate/study/definition.h"

namespace striate::study {

nlohmann::json settings_json(const WorldDefinition& world);
// What is absent is left out; how often it is saved decides nothing.
nlohmann::json settings_json(const Recipe& recipe);
// Without `layers` and `layers_text`, which follow from the rest.
nlohmann::json settings_json(const Tuning& tuning, const std::string& size);

// Text as part of a file's name: "uniform:25%" becomes "uniform-25pct".
std::string name_part(const std::string& text);

}  // namespace striate::study
