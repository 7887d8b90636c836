// Answers under way: what Generator::run() repeats until there is no prompt left.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "striate/infer/answer_text.h"
#include "striate/infer/generate.h"
#include "striate/infer/prefix_store.h"

namespace striate {

class GenerationRun {
 public:
  // All of these must outlive the run.
  GenerationRun(const Lvlm& model, std::shared_ptr<const Tokenizer> tokenizer, const GenerationLimits& limits,
                std::int64_t context, PrefixStore& store);

  // Takes prompts for which there is room, runs one pass over all answers under way, and hands over those that ended.
  // False when there is nothing left to do.
  bool advance(const Generator::NextJob& next, const Generator::JobDone& done);

 private:
  // A prompt that waits for room, or an answer under way.
  struct Running {
    std::size_t number;
    GenerationJob job;
    PromptTokens prompt;
    Sampler sampler;
    AnswerText text;
    std::shared_ptr<CachedSequence> sequence{};
    std::vector<std::int64_t> seen{};  // prompt and answer
    GenerationResult result{};
    bool prompted = false;  // the prompt is in the cache
    bool ended = false;
    std::chrono::steady_clock::time_point answering{};

    std::int64_t total() const { return static_cast<std::int64_t>(prompt.ids.size()); }
    // What the coming pass computes.
    std::int64_t new_tokens() const { return prompted ? 1 : total() - sequence->cache.length(); }
  };

  // What a pass gives for the last position of every answer under way, in main memory.
  struct LastPositions {
    at::Tensor likeliest;  // [answers] int64
    at::Tensor logits;     // [answers, vocab] fp32; undefined where no answer reads more than the likeliest token
  };

  std::unique_ptr<Running> prepared(GenerationJob job);
  void admit(const Generator::NextJob& next);
  bool waits_for_neighbour(std::int64_t shared) const;
  bool make_room(std::uint64_t bytes);
  void start(std::int64_t capacity, std::shared_ptr<CachedSequence> source, std::int64_t shared);
  at::Tensor last_rows();
  LastPositions run_pass();
  void take(const LastPositions& last, double pass_seconds);
  void choose(Running& answer, const at::Tensor& logits, std::int64_t greedy);
  void score(Running& answer, const at::Tensor& logits);
  void score_rest(Running& answer);
  void end(Running& answer);
  void hand_over(const Generator::JobDone& done);
  std::int64_t most_kept() const;
  std::uint64_t bytes_in_use() const;

  const Lvlm& model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  GenerationLimits limits_;
  std::int64_t context_;
  PrefixStore& store_;
  std::size_t taken_ = 0;
  std::unique_ptr<Running> waiting_;
  std::vector<std::unique_ptr<Running>> active_;
};

}  // namespace striate
