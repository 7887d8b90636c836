// Pages of runs and comparisons: --html and what goes with it.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "striate/answers/run_page.h"
#include "striate/base/output_file.h"

namespace striate::app {

// --html, --questions, --pictures, --overwrite.
struct PageFlags {
  std::string html, pictures;
  std::int64_t questions = 200;
  bool overwrite = false;

  void add_to(CLI::App& command);
  // Takes the page's place before the work begins; nullptr where no page is wanted. Throws what open_result() throws,
  // and InvalidInput where flags need --html or --pictures is not a folder.
  std::unique_ptr<AtomicFile> open(const CLI::App& command) const;
  // Where the pictures of a run's benchmark are looked for: `pictures`, else what the run's run.json says; then `data`.
  std::vector<std::filesystem::path> folders(const std::filesystem::path& run, const std::string& benchmark,
                                             const std::filesystem::path& data) const;
};

// The pictures of a set's questions for a page, shrunk to 240 pixels as JPEG: out of its tables, else of the first of
// `folders` that has the name. A name that leads out of a folder, and a picture that cannot be decoded, is not found.
PagePicture small_pictures(std::shared_ptr<const PictureSource> tables, std::vector<std::filesystem::path> folders);

}  // namespace striate::app
