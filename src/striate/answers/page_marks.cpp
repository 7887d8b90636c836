#include "striate/answers/page_marks.h"

#include <algorithm>
#include <set>

#include "striate/answers/answer.h"
#include "striate/answers/python_text.h"
#include "striate/base/strings.h"
#include "striate/report/numbers.h"

namespace striate {
namespace {

bool there(const Scored* item) {
  return item != nullptr && item->answered;
}

}  // namespace

std::vector<PageMark> answer_marks(bool compared, bool several) {
  std::vector<PageMark> marks;
  if (compared) {
    marks = {
        {"changed", "changed"}, {"better", "better than in the first run"}, {"worse", "worse than in the first run"}};
  } else if (several) {
    marks = {{"changed", "judged differently by the protocols"}};
  }
  const std::string where = several ? (compared ? " in a run" : " by a protocol") : "";
  const std::string everywhere = several ? (compared ? " in every run" : " by every protocol") : "";
  for (const auto& [id, words] : {std::pair("right", cat("right", everywhere)),
                                  {"wrong", cat("wrong", where)},
                                  {"partly", cat("partly right", where)},
                                  {"unparsed", cat("unparsed", where)},
                                  {"empty", cat("empty", compared ? where : "")},
                                  {"cut", cat("cut", compared ? where : "")},
                                  {"unanswered", cat("not answered", where)}}) {
    marks.push_back({id, words});
  }
  return marks;
}

std::vector<std::string> marks_of(const std::vector<const Scored*>& items, bool compared) {
  std::set<std::string> marks;
  const Scored* first = items.front();
  bool all_right = true;
  for (const Scored* item : items) {
    if (there(first) && there(item) && first->judgement.score != item->judgement.score) {
      marks.insert("changed");
      if (compared) marks.insert(item->judgement.score > first->judgement.score ? "better" : "worse");
    }
    const double score = there(item) ? item->judgement.score : 0;
    all_right = all_right && score >= 1;
    if (!there(item)) {
      marks.insert("unanswered");
      continue;
    }
    if (score <= 0) marks.insert("wrong");
    if (score > 0 && score < 1) marks.insert("partly");
    if (item->judgement.unparsed) marks.insert("unparsed");
    if (item->answer == nullptr) continue;
    if (item->answer->choices.empty() && python::strip(item->answer->text).empty()) marks.insert("empty");
    if (item->answer->stop == AnswerEnding::kLength) marks.insert("cut");
  }
  if (all_right) marks.insert("right");
  return {marks.begin(), marks.end()};
}

std::string verdict_text(const Scored* item) {
  if (!there(item)) return "not answered";
  const double score = item->judgement.score;
  const std::string verdict = score >= 1 ? "right" : (score <= 0 ? "wrong" : formatted(score, "%.2f"));
  return item->judgement.unparsed ? cat(verdict, ", unparsed") : verdict;
}

KindMarks::KindMarks(const Benchmark& benchmark, const std::vector<const Question*>& questions) {
  for (const std::string& kind : benchmark.kinds) {
    std::set<std::string> values;
    for (const Question* question : questions) {
      const auto found = question->kinds.find(kind);
      if (found != question->kinds.end()) values.insert(found->second.begin(), found->second.end());
    }
    if (values.size() < 2) continue;
    std::vector<PageMark> marks;
    for (const std::string& value : values) {
      marks.push_back({cat("k", kinds_.size(), "-", marks.size()), value});
      ids_[{kind, value}] = marks.back().id;
    }
    kinds_.emplace_back(kind, std::move(marks));
  }
}

std::vector<std::string> KindMarks::of(const Question& question) const {
  std::vector<std::string> marks;
  for (const auto& [kind, values] : question.kinds) {
    for (const std::string& value : values) {
      const auto found = ids_.find({kind, value});
      if (found != ids_.end()) marks.push_back(found->second);
    }
  }
  return marks;
}

}  // namespace striate
