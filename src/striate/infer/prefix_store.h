// Sequences whose keys and values are kept, for prompts that begin alike.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "striate/infer/kv_cache.h"
#include "striate/model/packed_batch.h"

namespace striate {

// A prompt as the decoder sees it: an image is one tensor of rows, and takes that many places.
struct PromptTokens {
  std::vector<std::int64_t> ids;           // kImageToken at the places of image rows
  std::vector<at::Tensor> images;          // [P, vision_hidden] each; the same image is the same tensor
  std::vector<std::int64_t> image_begins;  // where in `ids` each begins
};

// Throws InvalidInput as expand_images() does.
PromptTokens prompt_tokens(const Sample& prompt);

// How many places two prompts share from the beginning on; an image is shared whole or not at all.
std::int64_t common_places(const PromptTokens& a, const PromptTokens& b);

// The tokens that lie in a cache.
struct CachedSequence {
  PromptTokens tokens;
  KvCache cache;
};

// The latest sequences that nobody extends any more. Not for several threads at once.
class PrefixStore {
 public:
  void keep(std::shared_ptr<CachedSequence> sequence) { kept_.push_front(std::move(sequence)); }
  // The kept sequence that shares most with `prompt`, and how much; it counts as just used. nullptr where none shares.
  std::shared_ptr<CachedSequence> best(const PromptTokens& prompt, std::int64_t& shared);
  // Takes one out, to be extended.
  void remove(const CachedSequence* sequence);
  // Forgets the sequence that was not used for longest. False where there is none.
  bool drop_oldest();
  void clear() { kept_.clear(); }
  std::size_t size() const { return kept_.size(); }
  std::uint64_t bytes() const;

 private:
  std::list<std::shared_ptr<CachedSequence>> kept_;  // the latest used first
};

}  // namespace striate
