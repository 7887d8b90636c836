// What a benchmark asks, and what an answer to it is worth: the two values that everything in this room passes around.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/tables/bad_rows.h"
#include "striate/tables/picture_source.h"

namespace striate {

// Left, top, right, bottom.
using Box = std::array<double, 4>;

struct Answer;  // answer.h

struct Question {
  std::string id;            // unique in its benchmark; what answers name it by
  std::string publisher_id;  // as in the publisher's files, where several questions may share one (TextVQA, MME)
  std::string text;          // as published, without instructions
  std::string hint{};        // what stands before the question (ScienceQA, MMBench), or empty
  std::string asked{};       // the whole prompt where the publisher's file holds it, or empty
  std::vector<std::string> options{};     // of multiple choice: A, B, ...
  std::string missing_options{};          // letters of those that pandas takes for missing cells: "None", "NA"
  std::vector<std::string> references{};  // right answers; of multiple choice, letters
  std::vector<std::string> pictures{};    // names: of QuestionSet::pictures, else of files in the picture folder
  std::optional<Box> box{};               // the right box, as shares of the picture's width and height
  double width = 0, height = 0;           // of the picture in pixels; 0: unknown
  std::map<std::string, std::vector<std::string>> kinds{};  // "split" -> "random": by what scores are broken down
  std::string group{};       // of questions that belong together (the two on a picture of MME); empty: it is alone
  std::string picture_id{};  // the publisher's name of the picture, where a table holds its bytes; empty: not known
};

// What is drawn together when resampling has the same text here: questions of one group, and those about one picture,
// whose answers are right or wrong for the same reasons. Other questions are drawn alone.
inline std::string resampling_unit(const Question& question) {
  if (!question.group.empty()) return "group " + question.group;
  if (!question.picture_id.empty()) return "picture " + question.picture_id;
  return question.pictures.empty() ? "question " + question.id : "picture " + question.pictures.front();
}

// Whether option `index` is one of missing_options.
inline bool is_missing_option(const Question& question, std::size_t index) {
  return index < 26 && question.missing_options.find(static_cast<char>('A' + index)) != std::string::npos;
}

// The questions of a benchmark, as read from a folder.
struct QuestionSet {
  std::vector<Question> questions{};
  std::map<std::string, std::vector<Question>> examples{};  // solved ones to show first (few-shot), by subject
  std::map<std::string, std::string> preambles{};           // text to put before a question, by subject
  std::optional<Error> no_references{};                     // why there are none: the file to get; scoring throws it
  std::shared_ptr<const PictureSource> pictures{};          // that lie in the files read; nullptr: all are files
  std::vector<std::string> notes{};                         // what a reader of the score should know of the files
  std::vector<SkippedRow> bad_rows{};                       // of the files, left out
};

// What a scoring rule says about one answer.
struct Judgement {
  double score = 0;                                          // 0 to 1
  std::string parsed{};                                      // the answer as the rule read it
  bool unparsed = false;                                     // the rule found no answer in the text
  double detail = std::numeric_limits<double>::quiet_NaN();  // a second number of some rules: the IoU
};

// A question with what became of it.
struct Scored {
  const Question* question = nullptr;
  Judgement judgement{};
  bool answered = true;
  const Answer* answer = nullptr;  // what was judged, in the AnswerFile that was scored; nullptr: there is none
};

}  // namespace striate
