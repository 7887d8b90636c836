// Vision features that were computed already: the latest in memory, all of them in a folder where one is given.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "striate/base/notes.h"
#include "striate/data/slot_arena.h"

namespace striate {

// Where a cache's features lie: copies in main memory, copies in pinned memory that a GPU reads by itself (what holds
// for slots in slot_arena.h holds for them), or the tensors themselves, on whichever device they are.
enum class KeptAs { kCopies, kPinnedCopies, kTensors };

// Least recently used features make room for new ones. May be used from many threads.
class FeatureCache {
 public:
  explicit FeatureCache(std::int64_t most_bytes, KeptAs kept_as = KeptAs::kCopies);

  // An undefined tensor when there is none.
  at::Tensor get(const std::string& key);
  // What get() gives from now on; `features` themselves where they are larger than the whole cache and not kept.
  at::Tensor put(const std::string& key, const at::Tensor& features);
  void clear();
  std::int64_t bytes() const;

 private:
  using Entry = std::pair<std::string, at::Tensor>;

  SlotArena arena_;
  mutable std::mutex mutex_;
  std::int64_t most_bytes_;
  KeptAs kept_as_;
  std::int64_t bytes_ = 0;
  std::list<Entry> entries_;  // the latest used first
  std::unordered_map<std::string, std::list<Entry>::iterator> places_;
};

// One file for each picture, named by the hash of its bytes together with `identity`: the key of this tower, its
// weights and the preprocessing. Files appear whole, carry their own hash, and are read by any number of
// programs at once. They state their byte order and element type; one that is damaged, of another byte order or of an
// earlier version counts as absent, and is computed and written anew. May be used from many threads.
class FeatureFolder {
 public:
  // Makes the folder. Throws ResourceError when it cannot.
  FeatureFolder(std::filesystem::path folder, std::string identity, Notes notes = {});

  // The key of a picture's bytes.
  std::string key(const std::string& picture) const;
  // Undefined when there is no complete file of that key.
  at::Tensor get(const std::string& key) const;
  // The first file that cannot be written causes a warning in the notes; training continues without it.
  void put(const std::string& key, const at::Tensor& features);

 private:
  // Inside the folder.
  static std::filesystem::path name_of(const std::string& key);

  std::filesystem::path folder_;
  std::string identity_;
  Notes notes_;
  std::atomic<bool> warned_ = false;
};

}  // namespace striate
