#include "striate/infer/prefix_store.h"

#include <algorithm>

namespace striate {

PromptTokens prompt_tokens(const Sample& prompt) {
  ExpandedSample expanded = expand_images(prompt);
  PromptTokens tokens{std::move(expanded.token_ids), prompt.images, {}};
  std::size_t slot = 0;
  for (const at::Tensor& image : tokens.images) {
    tokens.image_begins.push_back(image.size(0) > 0 ? expanded.image_slots.at(slot) : 0);
    slot += static_cast<std::size_t>(image.size(0));
  }
  return tokens;
}

std::int64_t common_places(const PromptTokens& a, const PromptTokens& b) {
  const auto differs = std::mismatch(a.ids.begin(), a.ids.end(), b.ids.begin(), b.ids.end());
  const auto length = static_cast<std::int64_t>(differs.first - a.ids.begin());
  // Images look alike as ids: what is shared ends before the first that is another one, or that is not whole.
  for (std::size_t i = 0; i < a.images.size() && a.image_begins[i] < length; ++i) {
    const bool same = i < b.images.size() && a.image_begins[i] == b.image_begins[i] && a.images[i].is_same(b.images[i]);
    if (!same || a.image_begins[i] + a.images[i].size(0) > length) return a.image_begins[i];
  }
  return length;
}

std::shared_ptr<CachedSequence> PrefixStore::best(const PromptTokens& prompt, std::int64_t& shared) {
  shared = 0;
  auto found = kept_.end();
  for (auto it = kept_.begin(); it != kept_.end(); ++it) {
    const std::int64_t common = common_places(prompt, (*it)->tokens);
    if (common <= shared) continue;
    shared = common;
    found = it;
  }
  if (found == kept_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, found);
  return kept_.front();
}

void PrefixStore::remove(const CachedSequence* sequence) {
  kept_.remove_if([&](const std::shared_ptr<CachedSequence>& kept) { return kept.get() == sequence; });
}

bool PrefixStore::drop_oldest() {
  if (kept_.empty()) return false;
  kept_.pop_back();
  return true;
}

std::uint64_t PrefixStore::bytes() const {
  std::uint64_t sum = 0;
  for (const std::shared_ptr<CachedSequence>& kept : kept_) sum += kept->cache.bytes();
  return sum;
}

}  // namespace striate
