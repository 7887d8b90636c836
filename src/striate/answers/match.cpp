// Which answer belongs to which question.
#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "striate/answers/python_text.h"
#include "striate/answers/score.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

using Places = std::unordered_map<std::string, std::vector<std::size_t>>;

// "artwork/images/17131.jpg" -> "artwork/17131". The scripts that write MME's own form leave both out, and five of its
// tasks have their pictures in such a folder.
std::string bare_name(const std::string& id) {
  const std::size_t dot = id.rfind('.'), slash = id.rfind('/');
  const bool has_extension = dot != std::string::npos && (slash == std::string::npos || dot > slash);
  std::string bare = has_extension ? id.substr(0, dot) : id;
  constexpr std::string_view kFolder = "/images/";
  const std::size_t folder = bare.rfind(kFolder);
  if (folder != std::string::npos) bare.erase(folder, kFolder.size() - 1);
  return bare;
}

// What of a question's text every prompt has, in lower case.
std::string core_of(const Question& question) {
  constexpr std::string_view kYesOrNo = " please answer yes or no.";
  std::string text = python::lower(question.text);
  if (text.ends_with(kYesOrNo)) text.resize(text.size() - kYesOrNo.size());
  return std::string(python::strip(text));
}

class Matcher {
 public:
  Matcher(const Benchmark& benchmark, const QuestionSet& set)
      : benchmark_(benchmark), questions_(set.questions), of_question_(set.questions.size(), nullptr) {
    for (std::size_t i = 0; i < questions_.size(); ++i) {
      const Question& question = questions_[i];
      places_[question.id].push_back(i);
      if (question.publisher_id != question.id) places_[question.publisher_id].push_back(i);
      const std::string bare = bare_name(question.publisher_id);
      if (bare != question.publisher_id) places_[bare].push_back(i);
    }
  }

  void add(const Answer& answer) {
    if (answer.row >= 0) {
      if (static_cast<std::size_t>(answer.row) >= questions_.size()) refuse_unknown(answer, cat("number ", answer.row));
      take(answer, {static_cast<std::size_t>(answer.row)});
      return;
    }
    auto found = places_.find(answer.question);
    if (found == places_.end()) found = places_.find(bare_name(answer.question));
    if (found == places_.end()) refuse_unknown(answer, cat("'", answer.question, "'"));
    take(answer, found->second);
  }

  std::vector<const Answer*> finish() { return std::move(of_question_); }

 private:
  // The candidate whose text is in the prompt (the longest, if one text contains another), else the first that is free.
  void take(const Answer& answer, const std::vector<std::size_t>& candidates) {
    std::vector<std::size_t> free;
    std::ranges::copy_if(candidates, std::back_inserter(free),
                         [&](std::size_t place) { return of_question_[place] == nullptr; });
    if (free.empty()) {
      const Answer& first = *of_question_[candidates.front()];
      throw corrupt_data(cat(answer.place, ": question '", answer.question, "' is answered a second time (first in ",
                             first.place, ")"),
                         "leave one of the two answers out");
    }
    std::size_t chosen = free.front();
    if (candidates.size() > 1 && !answer.prompt.empty()) {
      const std::string prompt = python::lower(answer.prompt);
      std::size_t longest = 0;
      for (const std::size_t place : free) {
        const std::string core = core_of(questions_[place]);
        if (core.size() > longest && python::contains(prompt, core)) {
          longest = core.size();
          chosen = place;
        }
      }
    }
    of_question_[chosen] = &answer;
  }

  [[noreturn]] void refuse_unknown(const Answer& answer, const std::string& question) const {
    throw invalid_input(cat(answer.place, ": the benchmark ", benchmark_.name, " has no question ", question),
                        "are the answers of another benchmark, or `data` of another release?");
  }

  const Benchmark& benchmark_;
  const std::vector<Question>& questions_;
  Places places_;
  std::vector<const Answer*> of_question_;
};

// The answers of this benchmark, and of those the ones to this prompt where there are several.
std::vector<const Answer*> chosen_answers(const Benchmark& benchmark, const AnswerFile& file,
                                          const std::string& asking) {
  std::vector<const Answer*> ours;
  std::set<std::string> askings, others;
  for (const Answer& answer : file.answers) {
    if (!answer.benchmark.empty() && answer.benchmark != benchmark.name) {
      others.insert(answer.benchmark);
      continue;
    }
    ours.push_back(&answer);
    askings.insert(answer.asking);
  }
  if (ours.empty() && !others.empty()) {
    throw invalid_input(
        cat(file.path.string(), ": the answers are of the benchmark ", *others.begin(), ", not of ", benchmark.name),
        cat("give `benchmark` ", *others.begin()));
  }
  if (ours.empty()) {
    throw corrupt_data(file.path.string() + ": there is no answer", "name the file that the answers were written to");
  }
  if (askings.size() == 1) return ours;
  if (!askings.contains(asking)) {
    throw invalid_input(
        cat(file.path.string(), ": answers to ", askings.size(), " different prompts, none of them '", asking, "'"),
        cat("striate eval list ", benchmark.name, " says which protocols share their answers"));
  }
  std::erase_if(ours, [&](const Answer* answer) { return answer->asking != asking; });
  return ours;
}

}  // namespace

MatchedAnswers::MatchedAnswers(const Benchmark& benchmark, const QuestionSet& set, const AnswerFile& file,
                               const std::string& asking) {
  Matcher matcher(benchmark, set);
  for (const Answer* answer : chosen_answers(benchmark, file, asking)) matcher.add(*answer);
  of_question_ = matcher.finish();
}

}  // namespace striate
