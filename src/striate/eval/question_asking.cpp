#include "striate/eval/question_asking.h"

#include "striate/base/error.h"
#include "striate/data/worker_pool.h"
#include "striate/eval/rolling.h"

namespace striate {
namespace {

// No answers, but the log-probability of every text.
void measure_texts(const AskedModel& asked, const QuestionBatch& batch, const QuestionSink& sink,
                   const StopFlag* stop) {
  const Tokenizer& tokenizer = asked.tokenizer;
  const std::optional<std::int64_t> begin = tokenizer.bos_id() ? tokenizer.bos_id() : tokenizer.eos_id();
  if (!begin) throw unsupported("the tokenizer has no token that begins a text", "name another tokenizer");
  for (const std::size_t number : batch.questions) {
    if (stop != nullptr && stop->reason() != 0) return;
    const Question question = batch.store->at(number);
    const std::vector<std::int64_t> ids =
        tokenizer.encode(question.text, {.add_bos = tokenizer.adds_bos(), .parse_special = true});
    Answer answer;
    answer.question = question.id;
    answer.benchmark = batch.benchmark;
    answer.asking = batch.protocol->asking;
    answer.tokens = static_cast<std::int64_t>(ids.size());
    answer.stop = AnswerEnding::kEnd;
    answer.choices = {rolling_log_probability(asked.model, ids, *begin, asked.prompts.context)};
    sink.answered(answer);
  }
}

}  // namespace

AnsweringFigures ask_questions(const AskedModel& asked, QuestionBatch batch, QuestionSink sink, const StopFlag* stop) {
  AnsweringFigures figures;
  if (batch.protocol->kind == AnswerKind::kRolling) {
    measure_texts(asked, batch, sink, stop);
    return figures;
  }
  const QuestionPrompts prompts(*batch.protocol, *batch.set, asked.model.config(), asked.tokenizer, asked.prompts);
  WorkerPool pool(asked.data_threads);
  std::optional<QuestionPictures> pictures;
  if (batch.shows_pictures && !asked.prompts.without_pictures && asked.pixels) {
    pictures.emplace(asked.model, PictureFolder(batch.images, *asked.pixels, batch.set->pictures), asked.caches, pool);
  }
  QuestionSource source(batch.benchmark, *batch.protocol, *batch.store, std::move(batch.questions), prompts,
                        pictures ? &*pictures : nullptr, asked.prompts.context, std::move(sink), stop);
  asked.generator.run([&] { return source.next(); },
                      [&](std::size_t job, const GenerationResult& result) {
                        figures.prompt_tokens += result.prompt_tokens;
                        figures.reused_tokens += result.reused_tokens;
                        source.done(job, result);
                      });
  figures.cut_prompts = source.cut_prompts();
  // The next batch has other pictures and other words.
  asked.generator.reset();
  return figures;
}

}  // namespace striate
