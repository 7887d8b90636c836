#include "striate/study/asked_questions.h"

#include <utility>

namespace striate::study {

AskedQuestions::AskedQuestions(const std::string& benchmark, const std::string& protocol,
                               const std::filesystem::path& data, std::int64_t limit)
    : benchmark_(&find_benchmark(benchmark)),
      protocol_(protocol.empty() ? &benchmark_->protocols.front() : &find_protocol(*benchmark_, protocol)),
      set_(read_questions(*benchmark_, data)) {
  if (set_.no_references) throw Error(*set_.no_references);
  std::vector<Question> asked;
  for (const std::size_t place : questions_to_ask(*benchmark_, *protocol_, set_, limit)) {
    asked.push_back(std::move(set_.questions[place]));
  }
  set_.questions = std::move(asked);
}

ProtocolScore AskedQuestions::score(const AnswerFile& answers) const {
  return score_answers(*benchmark_, *protocol_, set_, answers, Resampling{0, 0});
}

}  // namespace striate::study
