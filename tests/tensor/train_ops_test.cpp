// The operations of training against plain LibTorch with its autograd, and every instruction set against them.
#include "striate/tensor/train_ops.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/kernels/dispatch.h"
#include "striate/tensor/stream_attention.h"
#include "tests/support/errors.h"

namespace striate {
namespace {

constexpr double kEps = 1e-5;

at::Tensor random_tensor(at::IntArrayRef shape, std::uint64_t seed) {
  at::Tensor values = at::empty(shape, at::TensorOptions(at::kFloat));
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return values.normal_(0.0, 1.0, generator);
}

at::Tensor leaf(const at::Tensor& x) {
  return x.detach().to(at::kFloat).clone().requires_grad_();
}

at::Tensor plain_norm(const at::Tensor& x, const at::Tensor& weight) {
  return x * (x.square().mean(-1, true) + kEps).rsqrt() * weight;
}

// |got - want| <= tolerance (1 + |want|) everywhere.
void expect_close(const at::Tensor& got, const at::Tensor& want, double tolerance, const char* what) {
  const at::Tensor g = got.detach().to(at::kDouble);
  const at::Tensor w = want.detach().to(at::kDouble);
  ASSERT_EQ(g.sizes(), w.sizes()) << what;
  EXPECT_LE(((g - w).abs() / (w.abs() + 1.0)).max().item<double>(), tolerance) << what;
}

// fp32 at widths that leave tails in every vector, and bf16 at its own precision.
struct Case {
  at::ScalarType dtype;
  double tolerance;
};
const Case kCases[] = {{at::kFloat, 1e-5}, {at::kBFloat16, 3e-2}};

TEST(TrainOps, AddedNormsAndTheirGradientsAreThoseOfThePlainOperators) {
  for (const Case& c : kCases) {
    for (const std::int64_t width : {7, 64, 131}) {
      const at::Tensor x = random_tensor({5, width}, 1).to(c.dtype);
      const at::Tensor delta = random_tensor({5, width}, 2).to(c.dtype);
      const at::Tensor dy = random_tensor({5, width}, 3).to(c.dtype);
      const at::Tensor before = random_tensor({5, width}, 4).to(c.dtype);
      const at::Tensor weight = leaf(random_tensor({width}, 5));
      const SumAndNorm got = add_rms_norm(x, delta, weight.detach(), kEps);
      EXPECT_TRUE(at::equal(got.sum, x + delta));
      EXPECT_TRUE(at::equal(got.normed, rms_norm(got.sum, weight.detach(), kEps)));
      const at::Tensor sum = leaf(got.sum);
      plain_norm(sum, weight).backward(dy.to(at::kFloat));
      const at::Tensor dx = before.clone();
      add_rms_norm_gradient(dx, dy, got.sum, weight.detach(), kEps);
      expect_close(dx, before.to(at::kFloat) + sum.grad(), c.tolerance, "dx");
      expect_close(rms_norm_weight_gradient(dy, got.sum, kEps), weight.grad(), c.tolerance, "dweight");
    }
  }
}

TEST(TrainOps, GateGradientsAreThoseOfThePlainOperators) {
  for (const Case& c : kCases) {
    const at::Tensor both = random_tensor({6, 2 * 37}, 1).to(c.dtype);
    const at::Tensor dy = random_tensor({6, 37}, 2).to(c.dtype);
    const at::Tensor gate = leaf(both.slice(1, 0, 37));
    const at::Tensor up = leaf(both.slice(1, 37));
    (at::silu(gate) * up).backward(dy.to(at::kFloat));
    const at::Tensor alone_gate = both.slice(1, 0, 37).clone(), alone_up = both.slice(1, 37).clone();
    silu_multiply_backward(alone_gate, alone_up, dy);
    expect_close(alone_gate, gate.grad(), c.tolerance, "gate");
    expect_close(alone_up, up.grad(), c.tolerance, "up");
    // Other devices take the composed form; fp64 has no loop, so that it shows that form here.
    const at::Tensor wide_gate = both.slice(1, 0, 37).to(at::kDouble), wide_up = both.slice(1, 37).to(at::kDouble);
    silu_multiply_backward(wide_gate, wide_up, dy.to(at::kDouble));
    expect_close(wide_gate, gate.grad(), 1e-5, "composed gate");
    expect_close(wide_up, up.grad(), 1e-5, "composed up");
    silu_multiply_backward(both.slice(1, 0, 37), both.slice(1, 37), dy);  // side by side
    EXPECT_TRUE(at::equal(both, at::cat({alone_gate, alone_up}, 1)));
  }
}

TEST(TrainOps, CrossEntropyAndItsGradientAreThoseOfThePlainOperators) {
  for (const Case& c : kCases) {
    const at::Tensor logits = (random_tensor({9, 203}, 1) * 4.0).to(c.dtype);
    const at::Tensor targets = at::arange(9, at::kLong) * 22;
    const at::Tensor wanted = leaf(logits);
    const at::Tensor nll = at::cross_entropy_loss(wanted, targets, {}, at::Reduction::None);
    (nll.sum() * 0.25).backward();
    const at::Tensor untouched = logits.clone();
    expect_close(cross_entropy_in_place(untouched, targets, 0.0), nll, 1e-5, "nll");
    EXPECT_TRUE(at::equal(untouched, logits));
    const at::Tensor gradient = logits.clone();
    expect_close(cross_entropy_in_place(gradient, targets, 0.25), nll, 1e-5, "nll");
    expect_close(gradient, wanted.grad(), c.dtype == at::kFloat ? 1e-6 : 2e-3, "gradient");
  }
}

TEST(TrainOps, NotANumberReachesTheLoss) {
  const at::Tensor logits = random_tensor({2, 40}, 1);
  logits[1][3] = std::nanf("");
  const at::Tensor nll = cross_entropy_in_place(logits, at::zeros({2}, at::kLong), 1.0);
  EXPECT_FALSE(std::isnan(nll[0].item<float>()));
  EXPECT_TRUE(std::isnan(nll[1].item<float>()));
}

TEST(TrainOps, DropoutIsAFunctionOfItsKeys) {
  const at::Tensor x = at::ones({400, 130});
  const DropoutMask mask{0.25, 17, at::arange(400, at::kLong)};
  const at::Tensor y = dropout(x, mask);
  EXPECT_TRUE(at::equal(y, dropout(x, mask)));
  EXPECT_NEAR(y.eq(0).to(at::kDouble).mean().item<double>(), 0.25, 0.01);
  EXPECT_NEAR(y.max().item<double>(), 1.0 / 0.75, 1e-4);
  EXPECT_FALSE(at::equal(y, dropout(x, {0.25, 18, mask.row_keys})));
  // A row's mask follows its key to another place.
  const at::Tensor moved = dropout(x, {0.25, 17, mask.row_keys.flip(0)});
  EXPECT_TRUE(at::equal(moved, y.flip(0)));
  const at::Tensor onto = at::full({400, 130}, 2.0);
  add_dropout(onto, x, mask);
  EXPECT_TRUE(at::allclose(onto, y + 2.0));
  EXPECT_TRUE(at::equal(dropout(x, {}), x));
}

// Attention in plain operators, sample by sample, with autograd through it.
at::Tensor plain_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const StreamShape& shape) {
  const std::int64_t group = q.size(1) / k.size(1);
  std::vector<at::Tensor> parts;
  for (std::size_t s = 0; s + 1 < shape.bounds.size(); ++s) {
    const auto part = [&](const at::Tensor& x, std::int64_t repeats) {
      return x.slice(0, shape.bounds[s], shape.bounds[s + 1]).repeat_interleave(repeats, 1).transpose(0, 1);
    };
    const std::int64_t n = shape.bounds[s + 1] - shape.bounds[s];
    const at::Tensor query = at::arange(n).unsqueeze(1);
    const at::Tensor key = at::arange(n).unsqueeze(0);
    at::Tensor hidden = key.gt(query);
    if (shape.window) hidden = hidden.logical_or(key.lt(query - *shape.window));
    const at::Tensor scores = at::matmul(part(q, 1), part(k, group).transpose(1, 2)) / std::sqrt(q.size(2));
    parts.push_back(at::matmul(at::softmax(scores.masked_fill(hidden, -INFINITY), -1), part(v, group)).transpose(0, 1));
  }
  return at::cat(parts);
}

struct AttentionCase {
  std::int64_t heads, kv_heads, dim;
  StreamShape shape;
};

std::vector<AttentionCase> attention_cases() {
  return {{4, 4, 32, {{0, 5, 77, 78, 150}, std::nullopt}},
          {6, 2, 24, {{0, 61, 61, 100}, std::nullopt}},  // grouped heads, an odd width, an empty sample
          {2, 1, 80, {{0, 130}, 7}},                     // a window
          {1, 1, 8, {{0, 1}, std::nullopt}}};
}

TEST(StreamAttention, ForwardAndGradientsAreThoseOfThePlainOperators) {
  for (const Case& c : kCases) {
    for (const AttentionCase& a : attention_cases()) {
      const std::int64_t n = a.shape.bounds.back();
      // Values lie inside a wider matrix, as a fused projection leaves them.
      const at::Tensor q = random_tensor({n, a.heads, a.dim}, 1).to(c.dtype);
      const at::Tensor k = random_tensor({n, a.kv_heads, a.dim}, 2).to(c.dtype);
      const at::Tensor v = random_tensor({n, a.kv_heads + 2, a.dim}, 3).to(c.dtype).slice(1, 1, 1 + a.kv_heads);
      const at::Tensor dout = random_tensor({n, a.heads, a.dim}, 4).to(c.dtype);
      const at::Tensor q_leaf = leaf(q), k_leaf = leaf(k), v_leaf = leaf(v);
      const at::Tensor want = plain_attention(q_leaf, k_leaf, v_leaf, a.shape);
      want.backward(dout.to(at::kFloat));
      const StreamAttentionResult got = stream_attention(q, k, v, a.shape);
      expect_close(got.out, want, c.tolerance, "out");
      const StreamAttentionGradients gradients = stream_attention_gradients(dout, q, k, v, got, a.shape);
      expect_close(gradients.dq, q_leaf.grad(), c.tolerance, "dq");
      expect_close(gradients.dk, k_leaf.grad(), c.tolerance, "dk");
      expect_close(gradients.dv, v_leaf.grad(), c.tolerance, "dv");
    }
  }
}

// Other devices take the composed form; fp64 has no loop, so that it shows that form here.
TEST(StreamAttention, TheComposedFormAgreesWithTheLoops) {
  for (const AttentionCase& a : attention_cases()) {
    const std::int64_t n = a.shape.bounds.back();
    const at::Tensor q = random_tensor({n, a.heads, a.dim}, 1);
    const at::Tensor k = random_tensor({n, a.kv_heads, a.dim}, 2);
    const at::Tensor v = random_tensor({n, a.kv_heads, a.dim}, 3);
    const at::Tensor dout = random_tensor({n, a.heads, a.dim}, 4);
    const StreamAttentionResult loops = stream_attention(q, k, v, a.shape);
    const StreamAttentionGradients want = stream_attention_gradients(dout, q, k, v, loops, a.shape);
    const auto wide = [](const at::Tensor& x) { return x.to(at::kDouble); };
    const StreamAttentionResult composed = stream_attention(wide(q), wide(k), wide(v), a.shape);
    const StreamAttentionGradients got =
        stream_attention_gradients(wide(dout), wide(q), wide(k), wide(v), composed, a.shape);
    expect_close(composed.out, loops.out, 1e-5, "out");
    expect_close(composed.log_sums, loops.log_sums, 1e-5, "log sums");
    expect_close(got.dq, want.dq, 1e-5, "dq");
    expect_close(got.dk, want.dk, 1e-5, "dk");
    expect_close(got.dv, want.dv, 1e-5, "dv");
  }
}

struct HeadCase {
  std::int64_t tokens, dim, window;
  std::vector<std::int32_t> places;  // of the queries; none: every token asks
};

// Two query heads on one key-value head of one sample through a given table, out, dq, dk, dv. `missing` floats of
// room are kept from the forward and from the backward pass.
std::vector<at::Tensor> head_through(const CpuKernels& table, at::ScalarType dtype, const HeadCase& c,
                                     std::array<std::int64_t, 2> missing = {}) {
  constexpr std::int64_t kGroup = 2;
  const std::int64_t n = c.tokens, dim = c.dim;
  const std::int64_t asking = c.places.empty() ? n : static_cast<std::int64_t>(c.places.size());
  const at::Tensor q = random_tensor({asking, kGroup, dim}, 1).to(dtype), k = random_tensor({n, dim}, 2).to(dtype);
  const at::Tensor v = random_tensor({n, dim}, 3).to(dtype), dout = random_tensor({asking, kGroup, dim}, 4).to(dtype);
  const at::Tensor out = at::empty_like(q), dq = at::empty_like(q), dk = at::empty_like(k), dv = at::empty_like(k);
  // A read of an element that was not written finds NaN.
  const at::Tensor log_sums = at::empty({kGroup, asking}), work = at::full({attention_work(n, dim)}, std::nanf(""));
  AttentionHead job{};
  job.q = q.const_data_ptr();
  job.k = k.const_data_ptr();
  job.v = v.const_data_ptr();
  job.out = out.mutable_data_ptr();
  job.dout = dout.const_data_ptr();
  job.dq = dq.mutable_data_ptr();
  job.dk = dk.mutable_data_ptr();
  job.dv = dv.mutable_data_ptr();
  job.log_sums = log_sums.mutable_data_ptr<float>();
  job.forward_out = job.out;
  job.forward_log_sums = job.log_sums;
  job.work = work.mutable_data_ptr<float>();
  job.work_floats = work.numel() - missing[0];
  job.storage = dtype == at::kFloat ? Storage::kFloat32 : Storage::kBFloat16;
  job.tokens = n;
  job.queries = asking;
  job.places = c.places.empty() ? nullptr : c.places.data();
  job.dim = dim;
  job.group = kGroup;
  job.window = c.window;
  job.q_stride = job.out_stride = kGroup * dim;
  job.q_head_stride = job.k_stride = job.v_stride = job.dk_stride = dim;
  job.log_sum_stride = asking;
  job.scale = 0.2F;
  table.attention_forward(job);
  job.work_floats = work.numel() - missing[1];
  table.attention_backward(job);
  return {out, dq, dk, dv};
}

std::vector<std::int32_t> every_third(std::int32_t first, std::int32_t end) {
  std::vector<std::int32_t> places;
  for (std::int32_t place = first; place < end; place += 3) places.push_back(place);
  return places;
}

TEST(StreamAttention, EveryInstructionSetAgrees) {
  const auto tables = runnable_cpu_kernels();
  const std::vector<HeadCase> heads = {{83, 40, -1, {}},
                                       {83, 64, -1, {}},
                                       {1, 32, -1, {}},
                                       {64, 96, -1, {}},
                                       {200, 32, 19, {}},
                                       {33, 128, 0, {}},
                                       {150, 64, 70, {}},
                                       {200, 64, -1, every_third(90, 190)},
                                       {70, 32, -1, {69}},
                                       {140, 24, -1, every_third(0, 140)},
                                       {200, 64, 40, every_third(1, 200)}};
  for (const Case& c : kCases) {
    for (const HeadCase& head : heads) {
      const auto want = head_through(*tables.front(), c.dtype, head);
      for (const CpuKernels* table : tables) {
        SCOPED_TRACE(cat(table->name, ", ", head.tokens, " tokens of ", head.dim, ", window ", head.window, ", ",
                         head.places.size(), " chosen"));
        const auto got = head_through(*table, c.dtype, head);
        for (std::size_t i = 0; i < want.size(); ++i) expect_close(got[i], want[i], c.tolerance, "result");
      }
    }
  }
}

TEST(StreamAttention, ARoomThatIsTooSmallIsABugThatIsNamed) {
  const HeadCase head{200, 64, -1, {}};
  for (const CpuKernels* table : runnable_cpu_kernels()) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      SCOPED_TRACE(table->name);
      const std::int64_t most = attention_work(head.tokens, head.dim) - 100;
      EXPECT_ERROR(head_through(*table, dtype, head, {most, 0}), "attention wants");
      EXPECT_ERROR(head_through(*table, dtype, head, {0, most}), "attention wants");
      EXPECT_NO_THROW(head_through(*table, dtype, head));
    }
  }
}

// Attention of some query tokens equals their rows of full attention, and only they contribute to the gradients of
// keys and values.
TEST(StreamAttention, ChosenQueriesAreThoseOfTheWholeStream) {
  const at::Tensor rows = at::tensor({3, 4, 90, 91, 97, 149}, at::kLong);
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kDouble}) {
    for (const AttentionCase& a : attention_cases()) {
      const std::int64_t n = a.shape.bounds.back();
      const at::Tensor asking = rows.masked_select(rows.lt(n));
      if (asking.numel() == 0) continue;
      const StreamQueries queries = stream_queries(asking, a.shape);
      const at::Tensor q = random_tensor({n, a.heads, a.dim}, 1).to(dtype);
      const at::Tensor k = random_tensor({n, a.kv_heads, a.dim}, 2).to(dtype);
      const at::Tensor v = random_tensor({n, a.kv_heads, a.dim}, 3).to(dtype);
      const at::Tensor dout = at::zeros_like(q);
      const at::Tensor of_asking = random_tensor({asking.size(0), a.heads, a.dim}, 4).to(dtype);
      dout.index_copy_(0, asking, of_asking);
      const StreamAttentionResult all = stream_attention(q, k, v, a.shape);
      const StreamAttentionGradients want = stream_attention_gradients(dout, q, k, v, all, a.shape);
      const at::Tensor chosen = q.index_select(0, asking);
      const StreamAttentionResult some = stream_attention(chosen, k, v, a.shape, &queries);
      const StreamAttentionGradients got = stream_attention_gradients(of_asking, chosen, k, v, some, a.shape, &queries);
      const double tolerance = dtype == at::kBFloat16 ? 2e-2 : 1e-5;
      expect_close(some.out, all.out.index_select(0, asking), tolerance, "out");
      expect_close(some.log_sums, all.log_sums.index_select(1, asking), tolerance, "log sums");
      expect_close(got.dq, want.dq.index_select(0, asking), tolerance, "dq");
      expect_close(got.dk, want.dk, tolerance, "dk");
      expect_close(got.dv, want.dv, tolerance, "dv");
    }
  }
}

TEST(StreamAttention, QueriesOutOfOrderAreRefused) {
  const StreamShape shape{{0, 5, 9}, std::nullopt};
  EXPECT_EQ(stream_queries(at::tensor({1, 4, 5}, at::kLong), shape).places, (std::vector<std::int32_t>{1, 4, 0}));
  EXPECT_EQ(stream_queries(at::tensor({7}, at::kLong), shape).bounds, (std::vector<std::int64_t>{0, 0, 1}));
  EXPECT_ERROR(stream_queries(at::tensor({4, 3}, at::kLong), shape), "are not in order");
  EXPECT_ERROR(stream_queries(at::tensor({4, 4}, at::kLong), shape), "are not in order");
  EXPECT_ERROR(stream_queries(at::tensor({6, 4}, at::kLong), shape), "are not in order");
  EXPECT_ERROR(stream_queries(at::tensor({9}, at::kLong), shape), "a query beyond its stream");
}

TEST(TrainOps, EveryInstructionSetAgrees) {
  const std::int64_t rows = 5, width = 53;
  const at::Tensor x = random_tensor({rows, width}, 1), dy = random_tensor({rows, width}, 2);
  const at::Tensor up = random_tensor({rows, width}, 3), weight = random_tensor({width}, 4);
  const at::Tensor targets = at::arange(rows, at::kLong), keys = at::arange(rows, at::kLong);
  const auto through = [&](const CpuKernels& table) {
    std::vector<at::Tensor> results;
    const at::Tensor dx = x.clone(), gate = x.clone(), dup = up.clone(), logits = dy.clone();
    const at::Tensor nll = at::empty({rows}), dropped = at::empty_like(x), sum = at::empty_like(x);
    const at::Tensor normed = at::empty_like(x);
    table.add_norm({x.data_ptr(), dy.data_ptr(), weight.data_ptr<float>(), sum.data_ptr(), normed.data_ptr(),
                    Storage::kFloat32, width, 0, rows, 1e-5F});
    table.norm_backward({dy.data_ptr(), x.data_ptr(), weight.data_ptr<float>(), dx.data_ptr(), Storage::kFloat32, width,
                         0, rows, 1e-5F});
    table.gate_backward({gate.data_ptr(), dup.data_ptr(), dy.data_ptr(), Storage::kFloat32, width, width, 0, rows});
    table.cross_entropy({logits.data_ptr(), targets.data_ptr<std::int64_t>(), nll.data_ptr<float>(), Storage::kFloat32,
                         width, 0, rows, 0.5F});
    table.dropout({x.data_ptr(), dropped.data_ptr(),
                   reinterpret_cast<const std::uint64_t*>(keys.data_ptr<std::int64_t>()), 5, 20000, 1.5F, false,
                   Storage::kFloat32, width, 0, rows});
    return std::vector<at::Tensor>{sum, normed, dx, gate, dup, logits, nll, dropped};
  };
  const auto tables = runnable_cpu_kernels();
  const auto want = through(*tables.front());
  for (const CpuKernels* table : tables) {
    SCOPED_TRACE(table->name);
    const auto got = through(*table);
    for (std::size_t i = 0; i < want.size(); ++i) expect_close(got[i], want[i], 1e-5, "result");
  }
}

}  // namespace
}  // namespace striate
