#include "striate/eval/predict.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "striate/answers/answer_file.h"
#include "striate/answers/question_table.h"
#include "striate/base/elapsed.h"
#include "striate/base/error.h"
#include "striate/base/output_path.h"
#include "striate/base/paths.h"
#include "striate/base/process_lock.h"
#include "striate/base/strings.h"
#include "striate/eval/opened_benchmark.h"
#include "striate/tables/rows.h"
#include "striate/text/image_marks.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "predict";

// A mark without its picture is a mistake in the row: the model would answer without having seen anything.
void check_marks(const Row& row, std::size_t marks, std::size_t pictures, bool raw) {
  const bool put_in_front = marks == 0 && !raw;
  if (put_in_front || marks == pictures) return;
  bad_row(row, cat("the prompt has ", marks, " <image>, and the row names ", counted(pictures, "picture")),
          raw ? "write <image> once for every picture"
              : "write <image> once for every picture, or leave out <image> to put all pictures in front");
}

Question question_of(const Row& row, const PredictRequest& request) {
  Question question;
  question.id = text_of_first(row, {"id", "question_id"}, std::to_string(row.number));
  question.asked = text_of_first(row, {"prompt", "question", "text"}, "");
  if (question.asked.empty()) bad_row(row, "there is no \"prompt\"", "give each row a prompt");
  question.pictures = pictures_of(row, has(row, "images") ? "images" : "image");
  const std::size_t marks = image_marks(question.asked);
  check_marks(row, marks, question.pictures.size(), request.raw);
  if (marks > 0) return question;
  const bool plain = request.conversation == TemplateKind::kPlain;  // which has no line break after a picture
  std::string in_front;
  for (std::size_t i = 0; i < question.pictures.size(); ++i) in_front += cat(kImageMark, plain ? "" : "\n");
  question.asked = in_front + question.asked;
  return question;
}

QuestionSet read_prompts(const PredictRequest& request) {
  QuestionSet set;
  std::set<std::string> ids;
  const auto rows = open_rows(request.prompts);
  set.pictures = rows->pictures();
  BadRows bad(on_bad_row(request.on_bad_sample));
  bad.take_all(*rows, [&](const Row& row) {
    Question question = question_of(row, request);
    if (!ids.insert(question.id).second) {
      bad_row(row, cat("the id '", question.id, "' was given before"), "give every prompt its own id");
    }
    set.questions.push_back(std::move(question));
  });
  set.bad_rows = bad.skipped();
  if (set.questions.empty()) {
    throw invalid_input(cat(request.prompts.string(), ": there is no prompt"), "give a file with a row for each");
  }
  return set;
}

Protocol protocol_of(const PredictRequest& request) {
  Protocol protocol;
  protocol.name = kName;
  protocol.bare = request.raw;
  protocol.decoding = {request.max_tokens, request.sampling.temperature, request.stop_strings};
  protocol.prompt = [](const Question& question, const QuestionSet&) { return question.asked; };
  return protocol;
}

// The answers that are there, each to one of these questions and the same words.
std::set<std::string> answered_before(const AnswerLog& log, const QuestionStore& store, const QuestionPrompts& prompts,
                                      const fs::path& out) {
  std::map<std::string, std::size_t> asked;
  for (const std::size_t number : all_of(store)) asked[store.at(number).id] = number;
  std::set<std::string> done;
  for (const Answer& answer : log.earlier()) {
    const auto found = asked.find(answer.question);
    const Question question = found == asked.end() ? Question{} : store.at(found->second);
    const bool same = found != asked.end() && answer.benchmark == kName && answer.prompt == prompts.shown(question) &&
                      answer.pictures == question.pictures;
    if (!same) {
      throw invalid_input(cat(out.string(), ": it holds an answer to another prompt (", answer.place, ")"),
                          "give the name of a new file with `out`");
    }
    done.insert(answer.question);
  }
  return done;
}

}  // namespace

PredictResult predict(const PredictRequest& request, const PredictObserver& observer) {
  request.sampling.validate();
  if (request.out.empty()) throw invalid_input("no `out` file was given", "give a file for the answers: `out` FILE");
  QuestionSet set = read_prompts(request);
  const QuestionStore store(set.questions);
  set.questions = {};
  const Protocol protocol = protocol_of(request);
  QuestionAnswerer answerer(request, observer.notes);
  const fs::path images = request.images.empty() ? folder_of(request.prompts) : request.images;
  QuestionBatch batch{kName, &protocol, &set, &store, {}, images};
  const PromptSettings settings{.pictures_anywhere = true, .cuts_bare_prompts = false, .sampling = request.sampling};
  // Two processes would ask the same prompts, and mix their lines.
  const FileLock lock(OutputPath::inside(folder_of(request.out), request.out.filename()).path());
  AnswerLog log(folder_of(request.out), request.out.filename());
  const std::set<std::string> done = answered_before(log, store, answerer.prompts(batch, settings), request.out);
  log.sync();  // a file that cannot be written is refused before anything is asked
  batch.questions = share_of(store, all_of(store), done, 0, 1);

  PredictResult result;
  result.prompts = static_cast<std::int64_t>(store.size());
  result.earlier = static_cast<std::int64_t>(done.size());
  result.bad_rows = static_cast<std::int64_t>(set.bad_rows.size());
  const auto total = static_cast<std::int64_t>(batch.questions.size());
  for (const SkippedRow& row : set.bad_rows) observer.notes.warn(cat("left out: ", row.reason));
  const auto progress = [&] {
    if (observer.progress) observer.progress(result.answered + result.bad, total);
  };
  QuestionSink sink;
  sink.answered = [&](const Answer& answer) {
    log.append(answer);
    ++result.answered;
    progress();
  };
  sink.bad = [&](const Question& question, const Error& problem) {
    if (request.on_bad_sample == OnBadSample::kStop) {
      throw Error(problem.kind(), cat(request.prompts.string(), ", prompt ", question.id, ": ", problem.what()),
                  problem.hint());
    }
    ++result.bad;
    observer.notes.warn(cat("prompt ", question.id, " is left out: ", problem.what()));
  };
  progress();
  const auto begin = std::chrono::steady_clock::now();
  if (!batch.questions.empty()) result.figures = answerer.ask(std::move(batch), settings, sink, observer.stop);
  result.seconds = seconds_since(begin);
  log.sync();
  result.stop_reason = observer.stop != nullptr ? observer.stop->reason() : 0;
  return result;
}

}  // namespace striate
