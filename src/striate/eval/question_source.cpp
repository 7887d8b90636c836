#include "striate/eval/question_source.h"

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::size_t kWindow = 32;  // questions whose pictures are looked at together

AnswerEnding ending_of(const GenerationResult& result, const Protocol& protocol) {
  switch (result.stop) {
    case StopReason::kEos:
      return AnswerEnding::kEnd;
    case StopReason::kStopString:  // the template's own mark is the answer's end
      return protocol.decoding.stop.empty() ? AnswerEnding::kEnd : AnswerEnding::kStop;
    default:
      return AnswerEnding::kLength;
  }
}

}  // namespace

QuestionSource::QuestionSource(std::string benchmark, const Protocol& protocol, const QuestionStore& store,
                               std::vector<std::size_t> questions, const QuestionPrompts& prompts,
                               QuestionPictures* pictures, std::int64_t context, QuestionSink sink,
                               const StopFlag* stop)
    : benchmark_(std::move(benchmark)),
      protocol_(protocol),
      store_(store),
      questions_(std::move(questions)),
      prompts_(prompts),
      pictures_(pictures),
      context_(context),
      sink_(std::move(sink)),
      stop_(stop) {}

std::vector<QuestionSource::Waiting> QuestionSource::prepare_window() {
  std::vector<Waiting> window;
  std::vector<std::string> names;
  for (; prepared_ < questions_.size() && window.size() < kWindow; ++prepared_) {
    Question question = store_.at(questions_[prepared_]);
    try {
      QuestionPrompt prompt = prompts_.of(question);
      window.push_back({std::move(question), std::move(prompt)});
    } catch (const Error& problem) {
      if (problem.kind() == ErrorKind::kResource) throw;
      sink_.bad(question, problem);
      continue;
    }
    const std::vector<std::string>& shown = window.back().prompt.pictures;
    names.insert(names.end(), shown.begin(), shown.end());
  }
  if (pictures_ != nullptr) pictures_->read(names);
  return window;
}

void QuestionSource::open_window() {
  if (!begun_) upcoming_ = prepare_window();
  begun_ = true;
  if (pictures_ != nullptr) pictures_->look();
  for (Waiting& waiting : upcoming_) ready_.push_back(std::move(waiting));
  // Features of this window are taken now: the next look() forgets them.
  std::deque<Waiting> good;
  for (Waiting& waiting : ready_) {
    if (add_pictures(waiting)) good.push_back(std::move(waiting));
  }
  ready_ = std::move(good);
  upcoming_ = prepare_window();
}

bool QuestionSource::add_pictures(Waiting& waiting) {
  try {
    Sample& sample = waiting.prompt.job.prompt;
    for (const std::string& name : waiting.prompt.pictures) sample.images.push_back(pictures_->find(name));
    const std::int64_t length = stream_length(sample);
    if (length > context_) {
      throw invalid_input(cat("the prompt has ", length, " tokens, but the context has only ", context_),
                          "name a model with a longer context, or give a larger `context`");
    }
    return true;
  } catch (const Error& problem) {
    if (problem.kind() == ErrorKind::kResource) throw;
    sink_.bad(waiting.question, problem);
    return false;
  }
}

std::string answer_text(const std::string& generated, const Protocol& protocol) {
  return protocol.bare ? generated : std::string(trim(generated));
}

std::optional<GenerationJob> QuestionSource::next() {
  if (stopped()) return std::nullopt;
  while (ready_.empty()) {
    if (begun_ && upcoming_.empty() && prepared_ == questions_.size()) return std::nullopt;
    open_window();
  }
  Waiting waiting = std::move(ready_.front());
  ready_.pop_front();
  if (waiting.prompt.cut_tokens > 0) ++cut_prompts_;
  asked_[jobs_++] = {std::move(waiting.question.id), std::move(waiting.prompt.shown),
                     std::move(waiting.prompt.pictures)};
  waiting.prompt.job.callbacks.on_text = [this](const std::string&) { return !stopped(); };
  return std::move(waiting.prompt.job);
}

void QuestionSource::done(std::size_t job, const GenerationResult& result) {
  auto asked = asked_.extract(job);
  if (result.stop == StopReason::kInterrupted) return;
  Answer answer;
  answer.question = std::move(asked.mapped().id);
  answer.prompt = std::move(asked.mapped().shown);
  answer.pictures = std::move(asked.mapped().pictures);
  answer.benchmark = benchmark_;
  answer.asking = protocol_.asking;
  answer.choices = result.log_probabilities;
  if (answer.choices.empty()) {
    answer.text = answer_text(result.text, protocol_);
    answer.tokens = static_cast<std::int64_t>(result.ids.size());
    answer.stop = ending_of(result, protocol_);
  } else {
    const auto best = std::ranges::max_element(answer.choices) - answer.choices.begin();
    answer.text = std::string(1, static_cast<char>('A' + std::min<std::ptrdiff_t>(best, 25)));
    answer.tokens = 0;
    answer.stop = AnswerEnding::kEnd;
  }
  sink_.answered(answer);
}

}  // namespace striate
