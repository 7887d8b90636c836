// Files of results that the user names: --out of scores, --report, --list.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "striate/base/output_file.h"

namespace striate::app {

// Adds --overwrite: existing result files are replaced.
void add_overwrite(CLI::App& command, bool& overwrite);

// Of commands that have --overwrite: takes the place of a result before the work for it begins, so that a file that
// cannot be written is found out then; nullptr where `file` is empty. A file that stands there stays and is refused,
// unless `overwrite` is set or it has the `mark` of an earlier result of the same kind (OutputPath::named). Throws
// InvalidInput, naming the flag.
std::unique_ptr<AtomicFile> open_result(const std::string& flag, const std::string& file, bool overwrite,
                                        std::string_view mark = {});

}  // namespace striate::app
