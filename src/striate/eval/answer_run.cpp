#include "striate/eval/answer_run.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "striate/answers/answer_file.h"
#include "striate/base/elapsed.h"
#include "striate/base/error.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/sha256.h"
#include "striate/base/strings.h"
#include "striate/eval/answer_folder.h"
#include "striate/eval/question_answerer.h"
#include "striate/model/fingerprint.h"
#include "striate/model/picture_settings.h"
#include "striate/ranks/collective.h"
#include "striate/tensor/machine.h"
#include "striate/tensor/torch_errors.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void check_request(const AnswerRunRequest& request) {
  if (request.benchmarks.empty()) {
    throw invalid_input("no `benchmark` was given", "striate eval list shows the names that there are");
  }
  for (std::size_t i = 0; i < request.benchmarks.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (request.benchmarks[i].name != request.benchmarks[k].name) continue;
      throw invalid_input(cat("the benchmark ", request.benchmarks[i].name, " is given twice"),
                          "ask it by another protocol in another folder");
    }
  }
}

// The weights beside an adapter's settings, byte for byte.
std::string adapter_identity(const fs::path& folder) {
  std::string hashes;
  for (const fs::path& file : entries_of(folder)) {
    const std::string name = file.filename().string();
    const bool weights = name.starts_with("adapter_model.") || name.starts_with("non_lora_trainables.");
    if (weights && is_file(file)) hashes += cat(name, " ", sha256_of_file(file), "\n");
  }
  return sha256_of(hashes);
}

class AnswerRun {
 public:
  AnswerRun(const AnswerRunRequest& request, Collective& ranks, const AnswerRunObserver& observer)
      : request_(request),
        ranks_(ranks),
        observer_(observer),
        opened_(open_all(request)),
        answerer_(request, observer.notes),
        folder_(request.out, identity(), ranks) {}

  AnswerRunResult go() {
    AnswerRunResult result;
    for (const OpenedBenchmark& opened : opened_) check_pictures(opened);
    for (OpenedBenchmark& opened : opened_) folder_.begin(part_of(opened));
    note_facts();
    for (OpenedBenchmark& opened : opened_) {
      result.benchmarks.push_back(ask(opened));
      result.stop_reason = observer_.stop != nullptr ? observer_.stop->reason() : 0;
      if (result.stop_reason != 0) break;
    }
    ranks_.finish();
    return result;
  }

 private:
  static std::vector<OpenedBenchmark> open_all(const AnswerRunRequest& request) {
    check_request(request);
    std::vector<OpenedBenchmark> opened;
    for (const BenchmarkRequest& benchmark : request.benchmarks) {
      opened.push_back(open_benchmark(benchmark, request.limit, on_bad_row(request.on_bad_sample)));
    }
    return opened;
  }

  json identity() const {
    json id = {{"weights", weights_fingerprint(answerer_.checkpoint())},
               {"precision", compute_name(request_.placement.compute)},
               {"template", template_name(answerer_.conversation())},
               {"context", answerer_.context()},
               {"without_pictures", request_.without_pictures}};
    if (answerer_.checkpoint().adapter) id["adapter"] = adapter_identity(*answerer_.checkpoint().adapter);
    if (answerer_.checkpoint().config.vision) id["image_aspect"] = image_aspect_name(answerer_.pixels().pad_to_square);
    return id;
  }

  void note_facts() {
    folder_.note("model", full_path(answerer_.checkpoint().folder).string());
    if (answerer_.checkpoint().adapter) folder_.note("adapter", full_path(*answerer_.checkpoint().adapter).string());
    folder_.note("striate", request_.version);
    folder_.note("hardware", hardware_description(request_.placement.device.str(),
                                                  compute_name(request_.placement.compute), ranks_.size()));
  }

  // What can be told about pictures before weights are read.
  void check_pictures(const OpenedBenchmark& opened) const {
    if (request_.without_pictures) return;
    if (opened.shows_pictures && !answerer_.checkpoint().config.vision) {
      throw invalid_input(cat(opened.benchmark->name, " shows pictures, and this model has no vision tower"),
                          "name a vision-language model, or ask without pictures");
    }
    if (request_.on_bad_sample == OnBadSample::kStop) require_pictures(opened);
  }

  PromptSettings prompt_settings() const { return {.without_pictures = request_.without_pictures}; }

  static QuestionBatch batch_of(const OpenedBenchmark& opened, std::vector<std::size_t> questions) {
    return {opened.benchmark->name, opened.protocol,       &opened.set,          &opened.store,
            std::move(questions),   opened.request.images, opened.shows_pictures};
  }

  // What run.json says of a benchmark: the questions are known by the hash of all their prompts.
  json part_of(const OpenedBenchmark& opened) const {
    const QuestionPrompts prompts = answerer_.prompts(batch_of(opened, {}), prompt_settings());
    std::string hash;  // of what came so far
    for (std::size_t i = 0; i < opened.store.size(); ++i) {
      const Question question = opened.store.at(i);
      if (opened.protocol->asks && !opened.protocol->asks(question)) continue;
      const std::string pictures = join(shown_pictures(*opened.protocol, question), "\n");
      hash = sha256_of(cat(hash, question.id, "\n", prompts.shown(question), "\n", pictures));
    }
    json part = {{"name", opened.benchmark->name},
                 {"data", full_path(opened.request.data).string()},
                 {"protocol", opened.protocol->name},
                 {"protocol_version", opened.protocol->version},
                 {"asking", opened.protocol->asking},
                 {"questions", hash},
                 {"limit", request_.limit}};
    const bool pictures = !opened.request.images.empty() && !request_.without_pictures;
    if (pictures) part["pictures"] = full_path(opened.request.images).string();
    if (request_.without_pictures) part["without_pictures"] = true;
    if (!opened.set.bad_rows.empty()) part["bad_rows"] = opened.set.bad_rows.size();
    return part;
  }

  BenchmarkOutcome ask(OpenedBenchmark& opened);
  void list_bad_rows(const OpenedBenchmark& opened, BenchmarkOutcome& outcome) const;
  std::function<void(const Question&, const Error&)> bad_listener(const OpenedBenchmark& opened,
                                                                  BenchmarkOutcome& outcome);

  const AnswerRunRequest& request_;
  Collective& ranks_;
  const AnswerRunObserver& observer_;
  std::vector<OpenedBenchmark> opened_;
  QuestionAnswerer answerer_;
  AnswerFolder folder_;
};

// Stops at a bad question, or writes it down and goes on.
std::function<void(const Question&, const Error&)> AnswerRun::bad_listener(const OpenedBenchmark& opened,
                                                                           BenchmarkOutcome& outcome) {
  if (request_.on_bad_sample == OnBadSample::kStop) {
    return [&opened](const Question& question, const Error& problem) {
      throw Error(problem.kind(), cat(opened.benchmark->name, ", question ", question.id, ": ", problem.what()),
                  cat(problem.hint(), problem.hint().empty() ? "" : "; ", "or leave it out: `on_bad_sample` skip"));
    };
  }
  const std::string name =
      ranks_.rank() == 0 ? "bad_questions.jsonl" : cat("bad_questions.rank-", ranks_.rank(), ".jsonl");
  const fs::path folder = folder_.part_folder(opened.benchmark->name);
  write_file(OutputPath::inside(folder, name), "");
  const auto file = std::make_shared<AppendFile>(OutputPath::inside(folder, name));
  return [file, &outcome](const Question& question, const Error& problem) {
    ++outcome.bad;
    const json line = {{"question_id", question.id}, {"reason", problem.what()}, {"hint", problem.hint()}};
    file->append(line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
  };
}

// Names the malformed rows of the benchmark's files in its folder, where there are any.
void AnswerRun::list_bad_rows(const OpenedBenchmark& opened, BenchmarkOutcome& outcome) const {
  const std::vector<SkippedRow>& rows = opened.set.bad_rows;
  if (rows.empty()) return;
  outcome.bad_rows = static_cast<std::int64_t>(rows.size());
  outcome.first_bad_row = rows.front().place;
  if (ranks_.rank() != 0) return;
  std::string lines;
  for (const SkippedRow& row : rows) {
    const json line = {{"row", row.place}, {"reason", row.reason}, {"hint", row.hint}};
    lines += line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  }
  write_file(OutputPath::inside(folder_.part_folder(opened.benchmark->name), "bad_rows.jsonl"), lines);
}

BenchmarkOutcome AnswerRun::ask(OpenedBenchmark& opened) {
  const std::string& name = opened.benchmark->name;
  BenchmarkOutcome outcome{opened.benchmark, opened.protocol, opened.request.data, opened.request.images};
  outcome.questions = static_cast<std::int64_t>(opened.questions.size());
  std::unique_ptr<AnswerLog> log = folder_.open_log(name);
  list_bad_rows(opened, outcome);
  const std::set<std::string> done = folder_.answered(name, opened.protocol->asking);
  ranks_.barrier();  // nobody appends before all have read what is there
  for (std::size_t i = 0; i < opened.questions.size() && !done.empty(); ++i) {
    outcome.earlier += done.contains(opened.store.at(opened.questions[i]).id) ? 1 : 0;
  }
  const std::vector<std::size_t> own = share_of(opened.store, opened.questions, done, ranks_.rank(), ranks_.size());
  const auto total = static_cast<std::int64_t>(own.size());
  const auto progress = [&](std::int64_t count) {
    if (observer_.progress) observer_.progress(name, count, total);
  };
  progress(0);
  const auto begin = std::chrono::steady_clock::now();
  QuestionSink sink;
  sink.answered = [&](const Answer& answer) {
    log->append(answer);
    outcome.answer_tokens += std::max<std::int64_t>(0, answer.tokens);
    progress(++outcome.asked + outcome.bad);
  };
  sink.bad = bad_listener(opened, outcome);
  if (!own.empty()) {
    const AnsweringFigures figures = answerer_.ask(batch_of(opened, own), prompt_settings(), sink, observer_.stop);
    outcome.cut_prompts = figures.cut_prompts;
    outcome.prompt_tokens = figures.prompt_tokens;
    outcome.reused_tokens = figures.reused_tokens;
  }
  outcome.seconds = seconds_since(begin);
  log->sync();
  log.reset();
  folder_.join(name);
  const std::array<std::int64_t*, 6> shared = {&outcome.asked,         &outcome.bad,           &outcome.cut_prompts,
                                               &outcome.prompt_tokens, &outcome.reused_tokens, &outcome.answer_tokens};
  std::array<double, 6> sums{};
  for (std::size_t i = 0; i < shared.size(); ++i) sums[i] = static_cast<double>(*shared[i]);
  ranks_.sum(sums);
  for (std::size_t i = 0; i < shared.size(); ++i) *shared[i] = static_cast<std::int64_t>(sums[i]);
  return outcome;
}

}  // namespace

AnswerRunResult run_answers(const AnswerRunRequest& request, const Ranks& ranks, const AnswerRunObserver& observer) {
  const std::unique_ptr<Collective> group = join_ranks(ranks, request.placement.device, observer.notes);
  try {
    return AnswerRun(request, *group, observer).go();
  } catch (const std::exception& error) {
    group->report_failure(explain(error).what());
    throw;
  }
}

}  // namespace striate
