// One sample's JSON, in any of the forms that are read, as a Record.
//
//   LLaVA      {"id", "image", "conversations": [{"from": "human", "value": "<image>\n..."}, {"from": "gpt", ...}]}
//   ShareGPT   the same from "user" and "assistant", a first turn from "system", pictures under "images"
//   OpenAI     {"messages": [{"role": "user", "content": "..." or [{"type": "text", "text"}, {"type": "image_url",
//   ...}]}]}
//
// The form is told by the names of the fields, sample by sample. docs/data.md says what each means.
#pragma once

#include <string>
#include <string_view>

#include "striate/data/dataset.h"

namespace striate {

// `json` is one object. Python's None, NaN and infinities are read as null; a number that no machine number holds does
// no harm where it is not read, and is shown as it was written; of several fields of one name the last counts, as in
// Python. Throws BadSample (kBrokenRecord), with `place` before what is wrong.
Record read_record(std::string_view json, const std::string& place);

}  // namespace striate
