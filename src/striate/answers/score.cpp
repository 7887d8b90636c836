#include "striate/answers/score.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "striate/answers/metrics.h"
#include "striate/answers/python_text.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

// A prompt as programs that keep it differently agree on: without picture marks and white space around it.
std::string bare_prompt(std::string_view prompt) {
  return std::string(python::strip(python::replace(prompt, "<image>", "")));
}

double headline_of(const Protocol& protocol, std::span<const Scored> items, std::span<const double> weights) {
  return protocol.headline ? protocol.headline(items, weights) : mean_score(items, weights);
}

// The letter of the likeliest choice, the first of equals.
std::string likeliest_letter(const Answer& answer) {
  if (answer.choices.empty()) return std::string(python::strip(answer.text));
  const auto best = std::ranges::max_element(answer.choices);
  return std::string(1, static_cast<char>('A' + std::min<std::ptrdiff_t>(best - answer.choices.begin(), 25)));
}

Judgement judged(const Protocol& protocol, const Question& question, const Answer& answer) {
  if (protocol.kind == AnswerKind::kLetter) return protocol.judge(question, likeliest_letter(answer));
  if (protocol.kind == AnswerKind::kText) return protocol.judge(question, answer.text);
  if (answer.choices.size() != 1) {
    throw corrupt_data(answer.place + ": \"choices\" is not the one log-probability of the text",
                       "score a file that a run of this benchmark wrote");
  }
  return {.detail = answer.choices[0]};
}

void count_answer(ProtocolScore& score, const Answer& answer, const Judgement& judgement, const std::string& prompt) {
  ++score.answered;
  if (score.protocol->kind == AnswerKind::kText && python::strip(answer.text).empty()) ++score.empty;
  if (judgement.unparsed) ++score.unparsed;
  if (answer.stop == AnswerEnding::kLength) ++score.cut;
  if (!answer.prompt.empty() && bare_prompt(answer.prompt) != bare_prompt(prompt)) ++score.other_prompt;
}

std::vector<KindScore> kind_scores(std::span<const Scored> items, const std::string& kind) {
  std::vector<KindScore> scores;
  for (const auto& [value, part] : parts_by_kind(items, ones(items.size()), kind)) {
    scores.push_back({value, mean_score(part.items), static_cast<std::int64_t>(part.items.size())});
  }
  const auto is_number = [](const KindScore& score) {
    return !score.value.empty() && score.value.find_first_not_of("0123456789") == std::string::npos;
  };
  if (std::ranges::all_of(scores, is_number)) {
    std::ranges::stable_sort(scores, {},
                             [](const KindScore& score) { return std::pair(score.value.size(), score.value); });
  }
  return scores;
}

}  // namespace

ProtocolScore score_answers(const Benchmark& benchmark, const Protocol& protocol, const QuestionSet& set,
                            const AnswerFile& answers, const Resampling& resampling, std::int64_t limit) {
  const MatchedAnswers matched(benchmark, set, answers, protocol.asking);
  ProtocolScore score{.protocol = &protocol};
  for (const std::size_t i : questions_to_ask(benchmark, protocol, set, limit)) {
    const Question& question = set.questions[i];
    ++score.questions;
    const Answer* answer = matched.of(i);
    if (answer == nullptr) {
      if (protocol.missing_is_wrong) score.items.push_back({&question, {.unparsed = true}, false});
      continue;
    }
    Judgement judgement = judged(protocol, question, *answer);
    count_answer(score, *answer, judgement, protocol.prompt(question, set));
    score.items.push_back({&question, std::move(judgement), true, answer});
  }
  if (score.answered == 0) {
    throw invalid_input(cat(answers.path.string(), ": there is no answer to a question that ", benchmark.name,
                            " asks by the protocol ", protocol.name),
                        cat("striate eval list ", benchmark.name, " says what each protocol asks"));
  }
  const auto count = static_cast<std::int64_t>(score.items.size());
  score.headline = {protocol.headline_name, headline_of(protocol, score.items, ones(score.items.size())),
                    protocol.headline_unit, count};
  score.interval = resampled(score.items, resampling, [&](std::span<const double> weights) {
    return headline_of(protocol, score.items, weights);
  });
  if (protocol.more) score.more = protocol.more(score.items);
  for (const std::string& kind : benchmark.kinds) {
    std::vector<KindScore> scores = kind_scores(score.items, kind);
    if (!scores.empty()) score.kinds.emplace_back(kind, std::move(scores));
  }
  return score;
}

ScoreResult score(const ScoreRequest& request) {
  const Benchmark& benchmark = find_benchmark(request.benchmark);
  std::vector<const Protocol*> protocols;
  for (const std::string& name : request.protocols) protocols.push_back(&find_protocol(benchmark, name));
  if (protocols.empty()) {
    for (const Protocol& protocol : benchmark.protocols) protocols.push_back(&protocol);
  }
  auto set = std::make_unique<const QuestionSet>(read_questions(benchmark, request.data, request.on_bad_row));
  if (set->no_references) throw Error(*set->no_references);
  auto file = std::make_unique<const AnswerFile>(read_answers(request.answers, benchmark.name));
  ScoreResult result{&benchmark, file->path, file->cut_line, std::move(set), std::move(file)};
  for (const Protocol* protocol : protocols) {
    result.scores.push_back(
        score_answers(benchmark, *protocol, *result.set, *result.file, request.resampling, request.limit));
  }
  return result;
}

}  // namespace striate
