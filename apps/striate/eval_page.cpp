#include "apps/striate/eval_page.h"

#include <span>

#include "apps/striate/flag_ranges.h"
#include "apps/striate/result_file.h"
#include "apps/striate/unread_flags.h"
#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/image/jpeg_encoder.h"
#include "striate/image/picture_name.h"
#include "striate/report/html.h"

namespace striate::app {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestPicture = 256'000'000;  // bytes of one encoded picture
constexpr int kLongestSide = 240;
constexpr std::int64_t kMostQuestions = 100'000;

std::optional<std::string> picture_file(const std::vector<fs::path>& folders, const std::string& name) {
  const fs::path path = fs::path(name).lexically_normal();
  if (name.empty() || not_a_file(name) || path.is_absolute() || *path.begin() == "..") return std::nullopt;
  for (const fs::path& folder : folders) {
    if (is_file(folder / path)) return read_file(folder / path, kLargestPicture);
  }
  return std::nullopt;
}

}  // namespace

void PageFlags::add_to(CLI::App& command) {
  command.add_option("--html", html, "Write a page with scores, questions and answers, which any browser shows")
      ->type_name("FILE");
  command.add_option("--questions", questions, "How many questions the page shows")
      ->check(whole_number(0, kMostQuestions))
      ->capture_default_str();
  command
      .add_option("--pictures", pictures, "The folder of the pictures that the page shows; default: what run.json says")
      ->type_name("DIR");
  add_overwrite(command, overwrite);
}

std::unique_ptr<AtomicFile> PageFlags::open(const CLI::App& command) const {
  if (html.empty()) {
    refuse_unread(command, {"--questions", "--pictures", "--overwrite"}, "needs --html",
                  "it is about the page: give --html FILE, too, or leave it out");
  }
  if (!pictures.empty() && !is_folder(pictures)) {
    throw invalid_input(cat("--pictures ", pictures, ": there is no such folder"), "check --pictures");
  }
  return open_result("--html", html, overwrite, kHtmlMark);
}

std::vector<fs::path> PageFlags::folders(const fs::path& run, const std::string& benchmark,
                                         const fs::path& data) const {
  std::vector<fs::path> folders = {pictures};
  if (pictures.empty() && is_folder(run) && is_file(run / "run.json")) {
    for (const EvaluatedPart& part : evaluated_parts(run)) {
      if (part.benchmark == benchmark) folders.push_back(part.pictures);
    }
  }
  folders.push_back(is_folder(data) ? data : folder_of(data));
  return folders;
}

PagePicture small_pictures(std::shared_ptr<const PictureSource> tables, std::vector<fs::path> folders) {
  std::erase(folders, fs::path());
  return [tables = std::move(tables),
          folders = std::move(folders)](const std::string& name) -> std::optional<std::string> {
    try {
      std::optional<std::string> bytes = tables == nullptr ? std::nullopt : tables->bytes(name);
      if (!bytes) bytes = picture_file(folders, name);
      if (!bytes) return std::nullopt;
      return encode_jpeg(shrunk_to(decode_image(std::as_bytes(std::span(*bytes)), name), kLongestSide));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kResource) throw;
      return std::nullopt;  // a page is worth having without a damaged picture; it says how many are left out
    }
  };
}

}  // namespace striate::app
