#include "striate/eval/held_out_benchmark.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "striate/answers/score.h"
#include "striate/base/elapsed.h"
#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"
#include "striate/eval/question_asking.h"

namespace striate {
namespace {

// What one rank has to tell the others.
struct RankAnswers {
  std::vector<Answer> answers;
  std::int64_t bad = 0;
};

RankAnswers ask_share(const Lvlm& model, const std::shared_ptr<const Tokenizer>& tokenizer,
                      const OpenedBenchmark& benchmark, RankExchange* ranks, const BenchmarkAsking& asking,
                      const EvaluationProgress& progress) {
  const std::string& name = benchmark.benchmark->name;
  std::vector<std::size_t> own = share_of(benchmark.store, benchmark.questions, {},
                                          ranks != nullptr ? ranks->rank() : 0, ranks != nullptr ? ranks->size() : 1);
  const auto total = static_cast<std::int64_t>(own.size());
  RankAnswers out;
  const auto advance = [&] {
    if (progress) progress(static_cast<std::int64_t>(out.answers.size()) + out.bad, total);
  };
  advance();
  QuestionSink sink;
  sink.answered = [&](const Answer& answer) {
    out.answers.push_back(answer);
    advance();
  };
  sink.bad = [&](const Question& question, const Error& problem) {
    ++out.bad;
    asking.notes.warn(cat(name, ", question ", question.id, " is left out: ", problem.what()));
    advance();
  };
  if (own.empty()) return out;
  const std::int64_t context = model.config().decoder.max_positions;
  Generator generator(model, tokenizer, {.context = context, .sequences = asking.answers_at_once});
  const AskedModel asked{model,         generator,
                         *tokenizer,    {.conversation = asking.conversation, .context = context},
                         asking.pixels, {0, asking.feature_cache_folder, asking.notes},
                         asking.threads};
  ask_questions(asked,
                {name, benchmark.protocol, &benchmark.set, &benchmark.store, std::move(own), benchmark.request.images,
                 benchmark.shows_pictures},
                std::move(sink), nullptr);
  return out;
}

// The answers of all ranks, on every rank.
RankAnswers gathered(RankAnswers own, RankExchange* ranks) {
  if (ranks == nullptr) return own;
  std::string mine = cat(own.bad, "\n");
  for (const Answer& answer : own.answers) mine += answer_line(answer);
  RankAnswers all;
  int rank = 0;
  for (const std::string& text : ranks->all(mine, {})) {
    const std::string place = cat("rank ", rank++);
    const std::vector<std::string> lines = split(text, '\n');  // the last one is empty
    all.bad += std::stoll(lines.front());
    for (std::size_t i = 1; i + 1 < lines.size(); ++i) {
      all.answers.push_back(read_answer(parse_json(lines[i], place, kLineJson), place));
    }
  }
  return all;
}

HeldOutAnswer held_out_answer(const Scored& item, std::int64_t number) {
  const Question& question = *item.question;
  HeldOutAnswer out{number, question.id, question.references.empty() ? "" : question.references.front(),
                    std::string(trim(item.answer->text)), item.judgement.score >= 1};
  out.record = answer_line(*item.answer);
  return out;
}

}  // namespace

OpenedBenchmark open_held_out(const HeldOutBenchmark& request, const ModelConfig& config) {
  OpenedBenchmark opened = open_benchmark(request, request.limit, on_bad_row(request.on_bad_sample));
  if (opened.set.no_references) throw Error(*opened.set.no_references);
  if (opened.shows_pictures && !config.vision) {
    throw invalid_input(cat(opened.benchmark->name, " shows pictures, and this model has no vision tower"),
                        "name a benchmark of texts with `eval_benchmark`");
  }
  if (request.on_bad_sample == OnBadSample::kStop) require_pictures(opened);
  return opened;
}

EvaluationMetrics evaluate_benchmark(const Lvlm& model, const std::shared_ptr<const Tokenizer>& tokenizer,
                                     const OpenedBenchmark& benchmark, RankExchange* ranks,
                                     const BenchmarkAsking& asking, const EvaluationProgress& progress) {
  const auto begin = std::chrono::steady_clock::now();
  RankAnswers all = gathered(ask_share(model, tokenizer, benchmark, ranks, asking, progress), ranks);
  const AnswerFile file{benchmark.benchmark->name, std::move(all.answers)};
  QuestionSet set = benchmark.set;
  for (const std::size_t number : benchmark.questions) set.questions.push_back(benchmark.store.at(number));
  const ProtocolScore score = score_answers(*benchmark.benchmark, *benchmark.protocol, set, file, Resampling{});
  EvaluationMetrics metrics;
  metrics.loss = std::numeric_limits<double>::quiet_NaN();
  metrics.questions = score.answered;
  metrics.benchmark = {benchmark.benchmark->name,
                       benchmark.protocol->name,
                       score.headline,
                       score.interval,
                       score.questions,
                       score.answered,
                       score.empty,
                       score.unparsed,
                       score.cut,
                       all.bad};
  for (const Scored& item : score.items) {
    if (item.answer == nullptr) continue;
    metrics.answers.push_back(held_out_answer(item, item.question - set.questions.data()));
    metrics.exact += metrics.answers.back().exact ? 1 : 0;
  }
  metrics.seconds = seconds_since(begin);
  return metrics;
}

}  // namespace striate
