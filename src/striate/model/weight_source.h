// The weights of one model under canonical names, whichever files and naming they come from.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "striate/files/weight_file.h"
#include "striate/model/name_map.h"

namespace striate {

// Tensors of one or several WeightFiles by canonical name. Later files take precedence over earlier ones, so that a
// projector file replaces the projector inside a checkpoint.
class WeightSource {
 public:
  struct Entry {
    const TensorInfo* info;
    std::shared_ptr<const WeightFile> file;
  };

  void add(std::shared_ptr<const WeightFile> file);

  // nullptr when there is none.
  const Entry* find(const std::string& canonical) const;
  const std::map<std::string, Entry>& entries() const { return entries_; }
  // Tensors in the files that are not part of an LVLM.
  const std::vector<Entry>& unknown() const { return unknown_; }
  // The naming scheme of the first file that shows one.
  std::optional<Naming> naming() const { return naming_; }

  // The tensor in its own dtype, a view of the file. Throws CorruptData when it is missing (the hint says what to
  // give), of another shape, or not a floating type.
  at::Tensor load(const std::string& canonical, const std::vector<std::int64_t>& shape) const;
  // The same where a model may lack it.
  std::optional<at::Tensor> load_optional(const std::string& canonical, const std::vector<std::int64_t>& shape) const;

 private:
  std::map<std::string, Entry> entries_;
  std::vector<Entry> unknown_;
  std::vector<std::shared_ptr<const WeightFile>> files_;
  std::optional<Naming> naming_;
};

}  // namespace striate
