// A weight outside the linears (a norm, the embedding): frozen, or trained.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <utility>

#include "striate/model/parameter.h"

namespace striate {

class Weight {
 public:
  Weight() = default;
  explicit Weight(at::Tensor frozen) : frozen_(std::move(frozen)) {}

  // As products read it: the file's type while frozen, the fp32 master copy once trained.
  const at::Tensor& value() const { return trained_ ? trained_->value : frozen_; }
  // Null while frozen.
  const std::shared_ptr<Parameter>& parameter() const { return trained_; }
  // From now on this parameter, which starts as a copy of the value.
  void train(std::shared_ptr<Parameter> parameter) {
    trained_ = std::move(parameter);
    frozen_.reset();
  }

 private:
  at::Tensor frozen_;
  std::shared_ptr<Parameter> trained_;
};

}  // namespace striate
