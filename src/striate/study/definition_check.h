// What the parts of a study's definition must agree in. Included by its reader.
#pragma once

#include "striate/study/definition.h"

namespace striate::study {

// Throws InvalidInput that names the file: names used twice or not defined, tables that are missing, settings that
// contradict each other.
void check_definition(const StudyDefinition& study);

}  // namespace striate::study
