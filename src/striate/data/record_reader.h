// One sample's JSON, in any of the forms that are read, as a Record.
//
//   LLaVA      {"id", "image", "conversations": [{"from": "human", "value": "<image>\n..."}, {"from": "gpt", ...}]}
//   ShareGPT   the same from "user" and "assistant", a first turn from "system", pictures under "images"
//   OpenAI     {"messages": [{"role": "user", "content": "..." or [{"type": "text", "text"}, {"type": "image_url",
//   ...}]}]}
//
// The form is told by the names of the fields, sample by sample. docs/data.md says what each means.
#pragma once

#include <simdjson.h>

#include <string>

#include "striate/data/dataset.h"

namespace striate {

// `json` is one object. Only the fields that are used are looked into: a NaN, a None or a number of thirty digits in
// another does no harm. Throws BadSample (kBrokenRecord), with `place` before what is wrong.
Record read_record(const simdjson::padded_string& json, const std::string& place);

}  // namespace striate
