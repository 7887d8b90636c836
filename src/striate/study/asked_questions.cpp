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
  for (Question& question : set_.questions) {
    if (limit > 0 && static_cast<std::int64_t>(asked.size()) == limit) break;
    if (!protocol_->asks || protocol_->asks(question)) asked.push_back(std::move(question));
  }
  set_.questions = std::move(asked);
}

ProtocolScore AskedQuestions::score(const AnswerFile& answers) const {
  return score_answers(*benchmark_, *protocol_, set_, answers, Resampling{0, 0});
}

}  // namespace striate::study
