// The pretend device itself: its memory, its refusals, its counts.
#include "tests/support/pretend_device/pretend_device.h"

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/library.h>

#include <functional>

#include "striate/tensor/side_stream.h"

namespace striate::test {
namespace {

at::Tensor& double_in_place(at::Tensor& x) {
  auto* value = x.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < x.numel(); ++i) value[i] *= 2.0F;
  return x;
}

TORCH_LIBRARY_FRAGMENT(striate, library) {
  library.def("test_double_(Tensor(a!) x) -> Tensor(a!)");
}
TORCH_LIBRARY_IMPL(striate, CPU, library) {
  library.impl("test_double_", &double_in_place);
}

using testing::HasSubstr;

const at::TensorOptions kFloats(at::kFloat);

// Pinned memory is the accelerator's, which must be known first.
at::Tensor pinned(double value) {
  pretend_device();
  return at::full({8}, value, kFloats).pin_memory();
}

at::TensorOptions there(at::ScalarType type = at::kFloat) {
  return at::TensorOptions(type).device(pretend_device());
}

// What the call is refused with; "" where it is not.
std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

// The counts of a call, under a name of its own.
DeviceCounts counts_while(const std::function<void()>& call) {
  static int calls = 0;
  const std::string name = "test " + std::to_string(++calls);
  {
    const CountedSection section(name);
    call();
  }
  return counts_of(name);
}

TEST(PretendDevice, ComputesWhatTheCpuComputes) {
  const at::Tensor a = at::randn({5, 7});
  const at::Tensor b = at::randn({7, 3});
  const at::Tensor got = at::matmul(a.to(pretend_device()), b.to(pretend_device())).softmax(-1);
  EXPECT_EQ(got.device(), pretend_device());
  EXPECT_TRUE(at::equal(got.cpu(), at::matmul(a, b).softmax(-1)));
}

TEST(PretendDevice, ViewsLookIntoTheMemoryTheyWereMadeFrom) {
  const at::Tensor whole = at::zeros({4, 6}, there());
  whole.slice(1, 2, 4).t().select(0, 1).fill_(3.0);
  at::Tensor want = at::zeros({4, 6});
  want.select(1, 3).fill_(3.0);
  EXPECT_TRUE(at::equal(whole.cpu(), want));
}

TEST(PretendDevice, OutputsThatAreResizedKeepTheirTensor) {
  at::Tensor out = at::empty({0}, there());
  at::add_out(out, at::ones({3}, there()), at::ones({3}, there()));
  EXPECT_TRUE(at::equal(out.cpu(), at::full({3}, 2.0)));
}

TEST(PretendDevice, GradientsFlowThroughIt) {
  const at::Tensor x = at::randn({4, 4}, kFloats).to(pretend_device()).requires_grad_();
  at::layer_norm(x, {4}).square().sum().backward();
  const at::Tensor y = x.detach().cpu().requires_grad_();
  at::layer_norm(y, {4}).square().sum().backward();
  EXPECT_TRUE(at::allclose(x.grad().cpu(), y.grad()));
}

TEST(PretendDevice, MemoryThatNobodyWroteIsNotANumber) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf}) {
    EXPECT_TRUE(at::empty({3}, there(type)).isnan().all().item<bool>());
  }
  // Memory that was used before, too.
  at::zeros({1 << 20}, there());
  EXPECT_TRUE(at::empty({1 << 20}, there()).isnan().all().item<bool>());
}

TEST(PretendDeviceDeathTest, ACpuKernelOnADevicePointerEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const at::Tensor device = at::ones({8}, there());
  EXPECT_DEATH(
      {
        const at::Tensor wrong = at::from_blob(device.data_ptr(), {8}, kFloats);
        wrong.add_(1.0);
      },
      "host code touched the memory of the pretend device");
}

TEST(PretendDevice, RefusesTensorsOfTwoDevices) {
  const at::Tensor device = at::ones({3}, there());
  const at::Tensor host = at::ones({3});
  EXPECT_THAT(refusal([&] { device + host; }), HasSubstr("two devices"));
  EXPECT_THAT(refusal([&] { device.index_select(0, at::zeros({1}, at::kLong)); }), HasSubstr("two devices"));
  EXPECT_THAT(refusal([&] { at::cat({device, host}); }), HasSubstr("two devices"));
  // CUDA takes numbers without dimensions beside its tensors, and copies indices.
  EXPECT_EQ(refusal([&] { device* at::scalar_tensor(2.0); }), "");
  EXPECT_EQ(refusal([&] { device.index({at::zeros({1}, at::kLong)}); }), "");
}

TEST(PretendDevice, RefusesWhatCudaHasNoKernelFor) {
  const at::Tensor whole = at::ones({4, 4}, there(at::kLong));
  EXPECT_THAT(refusal([&] { at::mm(whole, whole); }), HasSubstr("not implemented for 'Long'"));
  EXPECT_THAT(refusal([&] {
                at::mkldnn_linear(at::ones({4, 4}, there()), at::ones({4, 4}, there()));
              }),
              HasSubstr("no CUDA kernel"));
  at::Generator generator = at::detail::createCPUGenerator(1);
  EXPECT_THAT(refusal([&] { at::empty({4}, there()).normal_(0.0, 1.0, generator); }), HasSubstr("generator"));
}

TEST(PretendDevice, CountsLaunchesAndNotViews) {
  const at::Tensor x = at::ones({8, 8}, there());
  const DeviceCounts counts = counts_while([&] { (x.t().slice(0, 2).unsqueeze(0) * 2.0).add_(1.0); });
  EXPECT_EQ(counts.launches, 2);
  EXPECT_EQ(counts.operators.at("aten::mul.Tensor"), 1);
  EXPECT_EQ(counts.waits, 0);
  EXPECT_EQ(counts.touched_bytes, 3 * 6 * 8 * 4);  // read, written; then changed where it lies
}

TEST(PretendDevice, AnOperatorOfOurOwnIsOneLaunch) {
  at::Tensor x = at::ones({4}, there());
  const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("striate::test_double_", "").typed<at::Tensor&(at::Tensor&)>();
  EXPECT_EQ(counts_while([&] { op.call(x); }).launches, 1);
  EXPECT_TRUE(at::equal(x.cpu(), at::full({4}, 2.0)));
}

TEST(PretendDevice, CountsAllocationsAndTheirPeak) {
  const DeviceCounts counts = counts_while([] {
    at::empty({1000}, there());
    at::empty({1000}, there());
  });
  EXPECT_EQ(counts.allocations, 2);
  EXPECT_EQ(counts.allocated_bytes, 2 * 4096);
  const DeviceCounts none = counts_while([] {});
  EXPECT_EQ(counts.peak_bytes, none.peak_bytes + 4096) << "one lived after the other";
}

TEST(PretendDevice, RowsThatAreNotPickedAreNotTouched) {
  const at::Tensor table = at::ones({1000, 16}, there());
  const at::Tensor rows = at::arange(3, there(at::kLong));
  EXPECT_EQ(counts_while([&] { table.index_select(0, rows); }).touched_bytes, 3 * 16 * 4 + 3 * 8);
}

TEST(PretendDevice, CountsWaitsOfTheHost) {
  const at::Tensor x = at::ones({8}, there());
  EXPECT_EQ(counts_while([&] { x.sum().item<float>(); }).waits, 1);
  EXPECT_EQ(counts_while([&] { x.cpu(); }).waits, 1);
  EXPECT_EQ(counts_while([&] { at::equal(x, x); }).waits, 1);
  EXPECT_EQ(counts_while([&] { x.nonzero(); }).waits, 1);
  EXPECT_EQ(counts_while([&] { x.index({x.gt(0.0)}); }).waits, 1);
  EXPECT_EQ(counts_while([&] { at::ones({4}).to(pretend_device()); }).waits, 1);
  EXPECT_EQ(counts_while([&] { x.index({at::zeros({1}, at::kLong)}); }).waited_for.at("aten::index.Tensor"), 1);
}

TEST(PretendDevice, CountsCopiesByDirectionAndPinning) {
  const at::Tensor source = pinned(1.0);
  ASSERT_TRUE(source.is_pinned());
  ASSERT_FALSE(at::ones({8}).is_pinned());
  const DeviceCounts up = counts_while([&] { source.to(pretend_device(), at::kFloat, /*non_blocking=*/true); });
  EXPECT_EQ(up.to_device.copies, 1);
  EXPECT_EQ(up.to_device.bytes, 32);
  EXPECT_EQ(up.to_device.pinned, 1);
  EXPECT_EQ(up.waits, 0);
  const DeviceCounts pageable = counts_while([] { at::ones({8}).to(pretend_device(), at::kFloat, true); });
  EXPECT_EQ(pageable.to_device.pinned, 0);
  const at::Tensor device = at::ones({8}, there());
  const DeviceCounts down = counts_while([&] { device.to(at::kCPU, at::kHalf); });
  EXPECT_EQ(down.to_host.bytes, 32) << "the type changes where it arrives";
  EXPECT_EQ(down.to_host.waited, 1);
  EXPECT_EQ(down.launches, 0);
}

TEST(PretendDevice, ACopyThatNobodyWaitedForHasNotArrived) {
  const at::Tensor device = at::ones({8}, there());
  const at::Tensor host = pinned(0.0);
  host.copy_(device, /*non_blocking=*/true);
  EXPECT_TRUE(host.isnan().all().item<bool>());
  device.sum().item<float>();  // a wait for anything
  EXPECT_TRUE(at::equal(host, at::ones({8})));
}

TEST(PretendDevice, AnEventThatIsReachedTellsThatCopiesArrivedWithoutAWait) {
  const at::Tensor device = at::ones({8}, there());
  const at::Tensor host = pinned(0.0);
  const DeviceCounts counts = counts_while([&] {
    host.copy_(device, /*non_blocking=*/true);
    c10::Event copied(pretend_device().type());
    copied.record(c10::impl::VirtualGuardImpl(pretend_device().type()).getStream(pretend_device()));
    EXPECT_TRUE(copied.query());
  });
  EXPECT_TRUE(at::equal(host, at::ones({8})));
  EXPECT_EQ(counts.waits, 0);
}

TEST(PretendDevice, WhatGoesToAnotherStreamIsCounted) {
  const SideStream side(pretend_device());
  const DeviceCounts counts = counts_while([&] {
    at::Tensor made;
    {
      const SideStream::Section beside(side);
      made = at::ones({8}, there());
    }
    side.hand_over({made});
    made.add(1);
  });
  EXPECT_EQ(counts.side_launches, 1);
  EXPECT_EQ(counts.launches, 2);
  EXPECT_EQ(counts.stream_waits, 1);
  EXPECT_EQ(counts.waits, 0);
}

TEST(PretendDevice, APinnedSourceThatChangesUnderItsCopyIsAHazard) {
  const at::Tensor host = pinned(0.0);
  const DeviceCounts counts = counts_while([&] {
    const at::Tensor device = host.to(pretend_device(), at::kFloat, /*non_blocking=*/true);
    host.fill_(1.0);
    device.sum().item<float>();
  });
  EXPECT_EQ(counts.hazards, 1);
}

TEST(PretendDevice, ASlotOfPinnedMemoryThatIsFilledAnewUnderItsCopyIsAHazard) {
  const at::Tensor piece = pinned(0.0);
  const auto hazards = [&](const std::function<void(at::Tensor&)>& then) {
    return counts_while([&] {
             bool given_back = false;
             const auto give_back = [&given_back](void*) { given_back = true; };
             at::Tensor slot = at::from_blob(piece.data_ptr(), {4}, give_back, kFloats);
             EXPECT_TRUE(slot.is_pinned());
             const at::Tensor device = slot.to(pretend_device(), at::kFloat, /*non_blocking=*/true);
             then(slot);
             EXPECT_EQ(given_back, !slot.defined()) << "nobody but its holder keeps it";
             device.sum().item<float>();
           })
        .hazards;
  };
  EXPECT_EQ(hazards([](at::Tensor&) {}), 0);
  EXPECT_EQ(hazards([](at::Tensor& slot) { slot.reset(); }), 0);
  EXPECT_EQ(hazards([&](at::Tensor& slot) {
              slot.reset();
              piece.fill_(1.0);
            }),
            1);
}

TEST(PretendDevice, CountsEachStreamsMemoryByItself) {
  const SideStream side(pretend_device());
  const DeviceCounts before = counts_while([] {});
  const DeviceCounts counts = counts_while([&] {
    at::empty({1000}, there());
    const SideStream::Section beside(side);
    const at::Tensor one = at::empty({1000}, there()), two = at::empty({1000}, there());
  });
  EXPECT_EQ(counts.default_peak_bytes - before.default_peak_bytes, 4096);
  EXPECT_EQ(counts.side_peak_bytes - before.side_peak_bytes, 2 * 4096);
  EXPECT_EQ(counts.peak_bytes - before.peak_bytes, 2 * 4096) << "one was gone when the others came";
}

TEST(PretendDevice, CountsPinnedAllocations) {
  pretend_device();
  EXPECT_EQ(counts_while([] { at::ones({4}).pin_memory().pin_memory(); }).pinned_allocations, 1);
}

TEST(PretendDevice, CountsSumsInAnyOrder) {
  const at::Tensor sums = at::zeros({3}, there());
  const at::Tensor places = at::zeros({5}, there(at::kLong));
  EXPECT_EQ(counts_while([&] { sums.index_add_(0, places, at::ones({5}, there())); }).atomics, 1);
}

}  // namespace
}  // namespace striate::test
