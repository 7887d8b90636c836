// The questions of a benchmark on their way through a generator: prompts and pictures in, answers out.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "striate/answers/answer.h"
#include "striate/answers/question_store.h"
#include "striate/base/stop_flag.h"
#include "striate/eval/question_pictures.h"
#include "striate/eval/question_prompt.h"

namespace striate {

// What happens with what comes out.
struct QuestionSink {
  std::function<void(const Answer&)> answered;
  // A question that cannot be asked, and why. May throw, to end the run.
  std::function<void(const Question&, const Error&)> bad;
};

// What is kept of generated text: all of it after a bare prompt; in a chat template without white space around it, as
// every script that asks so keeps it. Tokenizers differ in whether an answer begins with a space.
std::string answer_text(const std::string& generated, const Protocol& protocol);

// Hands questions to Generator::run() in windows, so that the pictures of a window go through the vision tower
// together, and turns results into answers.
class QuestionSource {
 public:
  // Protocol, store, prompts and pictures must outlive it. `questions` are numbers in the store. `pictures` is nullptr
  // for a model, or a run, without pictures.
  QuestionSource(std::string benchmark, const Protocol& protocol, const QuestionStore& store,
                 std::vector<std::size_t> questions, const QuestionPrompts& prompts, QuestionPictures* pictures,
                 std::int64_t context, QuestionSink sink, const StopFlag* stop);

  std::optional<GenerationJob> next();
  void done(std::size_t job, const GenerationResult& result);

  std::int64_t cut_prompts() const { return cut_prompts_; }

 private:
  struct Waiting {
    Question question;
    QuestionPrompt prompt;
  };
  struct Asked {
    std::string id;
    std::string shown;
    std::vector<std::string> pictures;
  };

  std::vector<Waiting> prepare_window();
  void open_window();
  bool add_pictures(Waiting& waiting);
  bool stopped() const { return stop_ != nullptr && stop_->reason() != 0; }

  std::string benchmark_;
  const Protocol& protocol_;
  const QuestionStore& store_;
  std::vector<std::size_t> questions_;
  const QuestionPrompts& prompts_;
  QuestionPictures* pictures_;
  std::int64_t context_;
  QuestionSink sink_;
  const StopFlag* stop_;
  std::size_t prepared_ = 0;  // of questions_
  bool begun_ = false;
  std::vector<Waiting> upcoming_;  // the next window, whose pictures are being read
  std::deque<Waiting> ready_;
  std::map<std::size_t, Asked> asked_;  // by the number of the job
  std::size_t jobs_ = 0;
  std::int64_t cut_prompts_ = 0;
};

}  // namespace striate
