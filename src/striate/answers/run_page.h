// The page of a run or of a comparison (report.html): one file that needs nothing else. Scores with intervals, what was
// kept, and questions with their pictures and answers, those that changed first.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "striate/answers/compare.h"
#include "striate/answers/score.h"

namespace striate {

// One line of a part's table of scores, and one judgement of each of its questions: a protocol, or a run.
struct PageColumn {
  std::string name;
  const ProtocolScore* score = nullptr;
};

// A JPEG, PNG, GIF or WebP file's bytes by the name in Question::pictures; nullopt where there is none. Small pictures
// are wanted: a page shows them no wider than 240 pixels.
using PagePicture = std::function<std::optional<std::string>(const std::string& name)>;

// One benchmark on a page.
struct PagePart {
  const Benchmark* benchmark = nullptr;
  std::vector<PageColumn> columns{};           // one or more
  const PartComparison* comparison = nullptr;  // where the columns are its runs; nullptr: protocols of one run
  std::vector<std::string> notes{};            // of the questions: QuestionSet::notes
  PagePicture picture{};                       // empty: no pictures are shown
};

// Every protocol of a score; the result must outlive the part.
PagePart page_part(const ScoreResult& result);
// Every run of a comparison, by these names; the comparison must outlive the part.
PagePart page_part(const PartComparison& comparison, const std::vector<std::string>& runs);

struct RunPage {
  std::string title;                                         // "tuned"
  std::vector<std::pair<std::string, std::string>> facts{};  // name and value: model, answers
  std::vector<PagePart> parts{};                             // in the order shown
  Resampling resampling{};                                   // what the intervals were made with
  std::int64_t questions = 200;                              // at most so many: changed, then wrong, then others
  std::uint64_t picture_bytes = 16'000'000;                  // of all pictures, as text; those beyond are left out
};

// The HTML text. Everything but `title` may be left empty.
std::string run_page(const RunPage& page);

// What the intervals of a page or a comparison are.
std::string interval_words(const Resampling& resampling);

}  // namespace striate
