// CPU tensors over the bytes of device tensors: what lets CPU kernels compute for the device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace striate::test::pretend {

// The tensors of one call. Those that share memory on the device share it here.
class HostTensors {
 public:
  at::Tensor host(const at::Tensor& device);

  struct Result {
    at::Tensor device;
    bool fresh = false;  // neither an argument nor a view of one
  };
  // What the call gave, as a tensor of the device.
  Result device(const at::Tensor& result);

  // Gives the device tensors the shapes and the memory that the call gave to theirs (outputs are resized).
  void take_back() const;

  // Of the device tensors; rows that one reads several times count once.
  std::int64_t bytes() const;

 private:
  struct Pair {
    at::Tensor device, host;
  };
  std::vector<Pair> pairs_;
  std::vector<std::pair<c10::Storage, c10::Storage>> storages_;  // on the device, here
};

// A device tensor that looks into the memory of `base`, shaped as `like`.
at::Tensor view_on_device(const at::Tensor& base, const at::Tensor& like);
// A new device tensor with the contents of a CPU tensor.
at::Tensor new_on_device(const at::Tensor& host);
// The bytes that a tensor's elements take, those in one place once.
std::int64_t distinct_bytes(const at::Tensor& tensor);

}  // namespace striate::test::pretend
