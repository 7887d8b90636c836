#include "tests/support/pretend_device/attention.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/core/LegacyTypeDispatch.h>

#include <cmath>
#include <vector>

#include "tests/support/pretend_device/attention_reference.h"
#include "tests/support/pretend_device/counts.h"
#include "tests/support/pretend_device/host_tensors.h"
#include "tests/support/pretend_device/memory.h"

namespace striate::test::pretend {
namespace {

using Stack = torch::jit::Stack;

// The places of arguments that releases of LibTorch have in common; later ones were added behind them.
enum ForwardPlace { kCumQ = 3, kCumK, kMaxQ, kMaxK, kDropout, kCausal, kScale = 10, kLeft, kRight, kFirstUnknown };
constexpr std::size_t kBackwardShift = 3;  // grad_out before query, out and logsumexp behind value

std::optional<std::int64_t> number_or_none(const c10::IValue& value) {
  return value.isNone() ? std::nullopt : std::optional(value.toInt());
}

// A packed stream: where its samples begin, on both sides.
struct Stream {
  std::vector<std::int64_t> queries, keys;
  std::int64_t most_queries = 0, most_keys = 0;
  Visibility visibility;
  double scale = 1;

  std::size_t samples() const { return queries.size() - 1; }
  bool empty(std::size_t sample) const { return queries[sample] == queries[sample + 1]; }
};

std::vector<std::int64_t> bounds_of(const at::Tensor& lengths) {
  TORCH_CHECK(lengths.device().type() == kDeviceType, "cu_seqlens must be on CUDA, and one is on ", lengths.device());
  TORCH_CHECK(lengths.scalar_type() == at::kInt, "cu_seqlens must have dtype int32");
  TORCH_CHECK(lengths.is_contiguous(), "cu_seqlens must be contiguous");
  HostTensors tensors;
  const at::Tensor bounds = tensors.host(lengths).to(at::kLong);
  return {bounds.const_data_ptr<std::int64_t>(), bounds.const_data_ptr<std::int64_t>() + bounds.numel()};
}

void check_heads(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  for (const at::Tensor* tensor : {&q, &k, &v}) {
    TORCH_CHECK(tensor->device().type() == kDeviceType, "Input tensor must be on CUDA, and one is on ",
                tensor->device());
    TORCH_CHECK(tensor->dim() == 3, "this reference takes packed streams alone: [tokens, heads, head_dim]");
    TORCH_CHECK(tensor->stride(2) == 1, "Input tensor must have contiguous last dimension");
    TORCH_CHECK(tensor->scalar_type() == at::kHalf || tensor->scalar_type() == at::kBFloat16,
                "FlashAttention only support fp16 and bf16 data type");
    TORCH_CHECK(tensor->scalar_type() == q.scalar_type(), "query, key and value must have the same dtype");
  }
  TORCH_CHECK(q.size(2) % 8 == 0 && q.size(2) <= 256, "head dimension must be a multiple of 8, at most 256");
  TORCH_CHECK(k.size(1) > 0 && q.size(1) % k.size(1) == 0,
              "Number of heads in key/value must divide number of heads in query");
}

void check_stream(const Stream& stream, const at::Tensor& q, const at::Tensor& k) {
  TORCH_CHECK(stream.queries.size() == stream.keys.size(), "cu_seqlens_q and cu_seqlens_k differ in length");
  TORCH_CHECK(stream.queries.back() == q.size(0) && stream.keys.back() == k.size(0),
              "cu_seqlens do not end where the stream does");
  for (std::size_t s = 0; s < stream.samples(); ++s) {
    TORCH_CHECK(stream.queries[s + 1] - stream.queries[s] <= stream.most_queries &&
                    stream.keys[s + 1] - stream.keys[s] <= stream.most_keys,
                "max_seqlen is less than a sample's length");
  }
}

// `shift`: how much further back the arguments stand than in the forward call.
Stream stream_of(at::ArrayRef<c10::IValue> arguments, std::size_t shift, std::size_t scale_place) {
  const auto at_place = [&](std::size_t place) -> const c10::IValue& { return arguments[place + shift]; };
  TORCH_CHECK(at_place(kCumQ).isTensor() && at_place(kCumK).isTensor(), "this reference wants cum_seq_q and cum_seq_k");
  TORCH_CHECK(at_place(kDropout).toDouble() == 0.0, "this reference has no dropout");
  Stream stream;
  stream.queries = bounds_of(at_place(kCumQ).toTensor());
  stream.keys = bounds_of(at_place(kCumK).toTensor());
  stream.most_queries = at_place(kMaxQ).toInt();
  stream.most_keys = at_place(kMaxK).toInt();
  stream.visibility = {at_place(kCausal).toBool(), number_or_none(arguments[scale_place + 1]).value_or(-1),
                       number_or_none(arguments[scale_place + 2]).value_or(-1)};
  const double width = static_cast<double>(arguments[shift == 0 ? 0 : 1].toTensor().size(2));
  stream.scale = arguments[scale_place].isNone() ? 1.0 / std::sqrt(width) : arguments[scale_place].toDouble();
  return stream;
}

// [tokens, heads, d] of one sample -> [heads, tokens, d] fp32.
at::Tensor heads_first(const at::Tensor& x, std::int64_t begin, std::int64_t end) {
  return x.slice(0, begin, end).to(at::kFloat).transpose(0, 1);
}

SampleAttention sample_of(const Stream& stream, std::size_t s, const at::Tensor& q, const at::Tensor& k,
                          const at::Tensor& v) {
  const std::int64_t queries = stream.queries[s + 1] - stream.queries[s];
  const std::int64_t keys = stream.keys[s + 1] - stream.keys[s];
  return {heads_first(q, stream.queries[s], stream.queries[s + 1]), heads_first(k, stream.keys[s], stream.keys[s + 1]),
          heads_first(v, stream.keys[s], stream.keys[s + 1]), hidden_keys(queries, keys, stream.visibility),
          stream.scale};
}

void flash_forward(const c10::OperatorHandle& op, Stack* stack) {
  const DeviceLock lock(device_mutex());
  const at::AutoDispatchBelowADInplaceOrView below;
  const std::size_t count = op.schema().arguments().size();
  const auto arguments = torch::jit::last(*stack, count);
  for (std::size_t i = kFirstUnknown; i < count; ++i) {
    TORCH_CHECK(arguments[i].isNone(), "this reference does not know ", op.schema().arguments()[i].name());
  }
  const at::Tensor query = arguments[0].toTensor();
  check_heads(query, arguments[1].toTensor(), arguments[2].toTensor());
  const Stream stream = stream_of(arguments, 0, kScale);
  HostTensors tensors;
  const at::Tensor q = tensors.host(query);
  const at::Tensor k = tensors.host(arguments[1].toTensor());
  const at::Tensor v = tensors.host(arguments[2].toTensor());
  check_stream(stream, q, k);
  // FlashAttention turns grouped heads into queries where every sample has one query, and takes it that every has.
  const bool swaps = stream.most_queries == 1 && q.size(1) > k.size(1) && stream.visibility.left < 0;
  TORCH_CHECK(!swaps || q.size(0) == static_cast<std::int64_t>(stream.samples()),
              "max_seqlen_q is 1, and some samples have no query");
  const at::Tensor out = at::zeros(q.sizes(), q.options());
  const at::Tensor log_sums = at::full({q.size(1), q.size(0)}, std::numeric_limits<double>::infinity(), at::kFloat);
  for (std::size_t s = 0; s < stream.samples(); ++s) {
    if (stream.empty(s)) continue;
    const AttentionOut made = attend(sample_of(stream, s, q, k, v));
    out.slice(0, stream.queries[s], stream.queries[s + 1]).copy_(made.out.transpose(0, 1));
    log_sums.slice(1, stream.queries[s], stream.queries[s + 1]).copy_(made.log_sums);
  }
  count_launch("_flash_attention_forward", tensors.bytes() + distinct_bytes(out) + distinct_bytes(log_sums));
  torch::jit::drop(*stack, count);
  torch::jit::push(*stack, new_on_device(out), new_on_device(log_sums), new_on_device(at::zeros({2}, at::kLong)),
                   new_on_device(at::zeros({}, at::kLong)), new_on_device(at::empty({0}, q.options())));
}

// What CUDA's call allocates for itself (flash_api.cpp, mha_varlen_bwd): it counts towards the peak.
std::vector<at::Tensor> backward_workspace(const Stream& stream, const at::Tensor& q, const at::Tensor& k) {
  constexpr std::int64_t kMultiprocessors = 132;
  const auto samples = static_cast<std::int64_t>(stream.samples());
  const std::int64_t heads = q.size(1);
  const std::int64_t parts = (kMultiprocessors + samples * heads - 1) / (samples * heads);
  const std::int64_t padded = q.size(0) + 128 * samples;
  const at::TensorOptions floats = q.options().dtype(at::kFloat);
  std::vector<at::Tensor> workspace = {at::empty({parts, padded, heads, (q.size(2) + 31) / 32 * 32}, floats),
                                       at::empty({heads, padded}, floats)};
  if (k.size(1) == heads) return workspace;
  for (int side = 0; side < 2; ++side) workspace.push_back(at::empty({k.size(0), heads, k.size(2)}, k.options()));
  return workspace;
}

void flash_backward(const c10::OperatorHandle& op, Stack* stack) {
  const DeviceLock lock(device_mutex());
  const at::AutoDispatchBelowADInplaceOrView below;
  constexpr std::size_t kBackwardScale = 14;
  const std::size_t count = op.schema().arguments().size();
  const auto arguments = torch::jit::last(*stack, count);
  check_heads(arguments[1].toTensor(), arguments[2].toTensor(), arguments[3].toTensor());
  const Stream stream = stream_of(arguments, kBackwardShift, kBackwardScale);
  HostTensors tensors;
  const auto host = [&](std::size_t place) {
    const at::Tensor tensor = arguments[place].toTensor();
    TORCH_CHECK(tensor.device().type() == kDeviceType, op.schema().arguments()[place].name(), " must be on CUDA");
    return tensors.host(tensor);
  };
  const at::Tensor dout = host(0), q = host(1), k = host(2), v = host(3), out = host(4), log_sums = host(5);
  check_stream(stream, q, k);
  TORCH_CHECK(dout.scalar_type() == q.scalar_type() && out.scalar_type() == q.scalar_type(),
              "query and the gradient must have the same dtype");
  TORCH_CHECK(dout.stride(2) == 1 && out.stride(2) == 1, "out tensors must have contiguous last dimension");
  TORCH_CHECK(log_sums.sizes() == at::IntArrayRef({q.size(1), q.size(0)}) && log_sums.scalar_type() == at::kFloat,
              "logsumexp must be fp32, [heads, queries]");
  const std::vector<at::Tensor> workspace =
      backward_workspace(stream, arguments[1].toTensor(), arguments[2].toTensor());
  const at::Tensor dq = at::zeros(q.sizes(), q.options());
  const at::Tensor dk = at::zeros(k.sizes(), k.options());
  const at::Tensor dv = at::zeros(v.sizes(), v.options());
  for (std::size_t s = 0; s < stream.samples(); ++s) {
    if (stream.empty(s)) continue;
    const std::int64_t first = stream.queries[s], last = stream.queries[s + 1];
    const AttentionOut forward{heads_first(out, first, last), log_sums.slice(1, first, last)};
    const AttentionGradients made =
        attend_backward(sample_of(stream, s, q, k, v), heads_first(dout, first, last), forward);
    dq.slice(0, first, last).copy_(made.dq.transpose(0, 1));
    dk.slice(0, stream.keys[s], stream.keys[s + 1]).copy_(made.dk.transpose(0, 1));
    dv.slice(0, stream.keys[s], stream.keys[s + 1]).copy_(made.dv.transpose(0, 1));
  }
  const at::Context& context = at::globalContext();
  if (!context.deterministicAlgorithms() || context.deterministicAlgorithmsWarnOnly()) count_atomic();
  count_launch("_flash_attention_backward",
               tensors.bytes() + distinct_bytes(dq) + distinct_bytes(dk) + distinct_bytes(dv));
  torch::jit::drop(*stack, count);
  torch::jit::push(*stack, new_on_device(dq), new_on_device(dk), new_on_device(dv));
}

// scaled_dot_product_attention without gradients: one call. [batch, heads, tokens, d], and whatever mask it has.
void fused_attention(const c10::OperatorHandle& op, Stack* stack) {
  const DeviceLock lock(device_mutex());
  const at::AutoDispatchBelowADInplaceOrView below;
  enum Place { kBias = 3, kDropoutP, kIsCausal, kScaleBy = 7 };
  const std::size_t count = op.schema().arguments().size();
  const auto arguments = torch::jit::last(*stack, count);
  HostTensors tensors;
  const auto host = [&](std::size_t place) {
    const at::Tensor tensor = arguments[place].toTensor();
    TORCH_CHECK(tensor.device().type() == kDeviceType, op.schema().arguments()[place].name(), " must be on CUDA");
    return tensors.host(tensor);
  };
  const at::Tensor q = host(0), k = host(1), v = host(2);
  std::optional<at::Tensor> mask;
  if (arguments[kBias].isTensor() && arguments[kBias].toTensor().defined()) mask = host(kBias);
  const std::optional<double> scale = arguments[kScaleBy].toOptional<double>();
  const at::Tensor out =
      at::scaled_dot_product_attention(q, k, v, mask, arguments[kDropoutP].toDouble(), arguments[kIsCausal].toBool(),
                                       scale, /*enable_gqa=*/q.size(-3) != k.size(-3));
  count_launch("scaled_dot_product_attention", tensors.bytes() + distinct_bytes(out));
  torch::jit::drop(*stack, count);
  torch::jit::push(*stack, new_on_device(out), at::Tensor(), at::Tensor(), at::Tensor(), q.size(-2), k.size(-2),
                   at::Tensor(), at::Tensor(), at::Tensor());
}

}  // namespace

void register_attention(torch::Library& library) {
  library.impl("_flash_attention_forward", torch::CppFunction::makeFromBoxedFunction<&flash_forward>());
  library.impl("_flash_attention_backward", torch::CppFunction::makeFromBoxedFunction<&flash_backward>());
  library.impl("_scaled_dot_product_fused_attention_overrideable",
               torch::CppFunction::makeFromBoxedFunction<&fused_attention>());
}

}  // namespace striate::test::pretend
