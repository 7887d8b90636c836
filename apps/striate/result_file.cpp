#include "apps/striate/result_file.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate::app {

void add_overwrite(CLI::App& command, bool& overwrite) {
  command.add_flag("--overwrite", overwrite, "Replace existing result files");
}

std::unique_ptr<AtomicFile> open_result(const std::string& flag, const std::string& file, bool overwrite,
                                        std::string_view mark) {
  if (file.empty()) return nullptr;
  const Existing existing = overwrite ? Existing::kReplace : mark.empty() ? Existing::kKeep : Existing::kOurs;
  try {
    return std::make_unique<AtomicFile>(
        OutputPath::named(file, existing, mark, "give another name, remove the file, or replace it with --overwrite"));
  } catch (const Error& error) {
    throw Error(error.kind(), cat(flag, " ", error.what()), error.hint());
  }
}

}  // namespace striate::app
