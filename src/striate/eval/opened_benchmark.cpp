#include "striate/eval/opened_benchmark.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/data/bad_sample.h"
#include "striate/data/picture_folder.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNeighbours = 16;  // questions without pictures that go to one rank

bool has_picture(const fs::path& folder, const std::string& name) {
  return !name.empty() && is_file(folder / name);
}

// The folders in `folder`, `depth` deep, those above first.
void add_folders(const fs::path& folder, int depth, std::vector<fs::path>& found) {
  constexpr std::size_t kMostFolders = 2000;
  if (depth == 0 || !is_folder(folder)) return;
  std::vector<fs::path> inside;
  for (const fs::path& path : entries_of(folder)) {
    if (is_folder(path)) inside.push_back(path);
  }
  for (const fs::path& path : inside) {
    if (found.size() < kMostFolders) found.push_back(path);
  }
  for (const fs::path& path : inside) add_folders(path, depth - 1, found);
}

// Why a picture cannot be read; nullopt where its file is there.
std::optional<std::string> problem_of(const PictureFolder& folder, const std::string& name) {
  if (fs::path(name).is_absolute()) return cat("image '", name, "' is not in the pictures' folder");
  try {
    const fs::path file = folder.resolve(name);
    if (is_file(file)) return std::nullopt;
    return cat("image ", file.string(), ": no such file");
  } catch (const BadSample& problem) {
    return problem.what();
  }
}

}  // namespace

OnBadRow on_bad_row(OnBadSample on_bad_sample) {
  return on_bad_sample == OnBadSample::kSkip ? OnBadRow::kSkip : OnBadRow::kStop;
}

OpenedBenchmark open_benchmark(const BenchmarkRequest& request, std::int64_t limit, OnBadRow on_bad_row) {
  OpenedBenchmark opened{request};
  opened.benchmark = &find_benchmark(request.name);
  opened.protocol = request.protocol.empty() ? &opened.benchmark->protocols.front()
                                             : &find_protocol(*opened.benchmark, request.protocol);
  opened.set = read_questions(*opened.benchmark, request.data, on_bad_row);
  opened.questions = questions_to_ask(*opened.benchmark, *opened.protocol, opened.set, limit);
  opened.shows_pictures = std::ranges::any_of(opened.questions, [&](std::size_t number) {
    return !shown_pictures(*opened.protocol, opened.set.questions[number]).empty();
  });
  if (opened.request.images.empty() && !opened.benchmark->pictures.empty()) {
    opened.request.images = find_pictures(request.data, opened.set);
  }
  opened.store = QuestionStore(opened.set.questions);
  opened.set.questions = {};
  return opened;
}

fs::path find_pictures(const fs::path& data, const QuestionSet& set) {
  const fs::path folder = is_folder(data) ? data : folder_of(data);
  const auto shown =
      std::ranges::find_if(set.questions, [](const Question& question) { return !question.pictures.empty(); });
  if (shown == set.questions.end()) return folder;
  const std::string& name = shown->pictures.front();
  std::vector<fs::path> places = {folder, folder / "images"};
  add_folders(folder, 3, places);
  for (const fs::path& place : places) {
    if (has_picture(place, name)) return place;
  }
  return folder;
}

void require_pictures(const OpenedBenchmark& opened) {
  const PictureFolder folder(opened.request.images, {});
  std::set<std::string> seen;
  std::int64_t missing = 0;
  std::string first;
  for (const std::size_t number : opened.questions) {
    for (const std::string& name : shown_pictures(*opened.protocol, opened.store.at(number))) {
      if (!seen.insert(name).second || (opened.set.pictures && opened.set.pictures->has(name))) continue;
      const std::optional<std::string> problem = problem_of(folder, name);
      if (problem && missing++ == 0) first = *problem;
    }
  }
  if (missing == 0) return;
  throw invalid_input(
      cat(opened.benchmark->name, ": ", missing, " of ", seen.size(), " pictures cannot be read; the first: ", first),
      cat("name their folder with `images`; they come from ", opened.benchmark->pictures));
}

std::vector<std::size_t> share_of(const QuestionStore& store, const std::vector<std::size_t>& questions,
                                  const std::set<std::string>& done, int rank, int ranks) {
  std::map<std::string, std::size_t> groups;  // by picture, in the order of their first questions
  std::vector<std::vector<std::size_t>> shares;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const Question question = store.at(questions[i]);
    if (done.contains(question.id)) continue;
    const std::string key = question.pictures.empty() ? cat(" ", i / kNeighbours) : question.pictures.front();
    const auto [group, added] = groups.try_emplace(key, shares.size());
    if (added) shares.emplace_back();
    shares[group->second].push_back(questions[i]);
  }
  std::vector<std::size_t> own;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const bool mine = i % static_cast<std::size_t>(ranks) == static_cast<std::size_t>(rank);
    if (mine) own.insert(own.end(), shares[i].begin(), shares[i].end());
  }
  return own;
}

std::vector<std::size_t> all_of(const QuestionStore& store) {
  std::vector<std::size_t> numbers(store.size());
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  return numbers;
}

}  // namespace striate
