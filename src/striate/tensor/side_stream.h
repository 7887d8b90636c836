// A second queue of work on a GPU, beside the one that everything else goes to.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/StreamGuard.h>

#include <initializer_list>
#include <optional>

namespace striate {

// What is asked of the device while a Section lives goes to a stream of its own, and is worked on beside what was asked
// before. On the CPU, where work is done as it is asked for, all of this does nothing. For one thread at a time.
//
// Tensors that are made in a section may be read in any later section. Others may read them once they were handed over.
class SideStream {
 public:
  // Work in its sections begins after what the device was asked for until now, such as the loading of weights.
  explicit SideStream(at::Device device);
  SideStream(const SideStream&) = delete;
  SideStream& operator=(const SideStream&) = delete;

  class Section {
   public:
    explicit Section(const SideStream& side) : guard_(side.stream_) {}

   private:
    c10::OptionalStreamGuard guard_;
  };

  // What the calling thread asks of the device from now on comes after all that was asked for in sections, and may read
  // `tensors`, whose memory is kept until that is done. Undefined ones are skipped. The host does not wait. To be
  // called outside of sections.
  void hand_over(std::initializer_list<at::Tensor> tensors) const;

 private:
  at::Device device_;
  std::optional<c10::Stream> stream_;  // none on the CPU
};

}  // namespace striate
