// The arithmetic of Pillow's Resample.c: weights in double, rounded to 22-bit fixed point; a horizontal pass, rounded
// and clipped to 8 bits; then a vertical pass, the same.
#include "striate/image/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/strings.h"

// The inner loops are built twice, the wider vectors chosen where the machine has them. Sanitizers cannot start a
// program whose loader runs instrumented code, so there they are built once.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define STRIATE_WIDE_VECTORS __attribute__((target_clones("avx2", "default")))
#else
#define STRIATE_WIDE_VECTORS
#endif

namespace striate {
namespace {

// A picture with a longer side is not padded to a square: the horizontal pass over it would take minutes.
constexpr int kMaxSquareSide = 26'754;

constexpr int kPrecisionBits = 32 - 8 - 2;
constexpr std::int32_t kHalf = 1 << (kPrecisionBits - 1);

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

// For each output position in [begin, begin + count): the first input position it reads and its weights.
struct Filter {
  struct Span {
    int first;
    std::vector<std::int32_t> weights;
  };
  std::vector<Span> spans;

  int first() const { return spans.front().first; }
  int last() const {  // one beyond
    int end = 0;
    for (const Span& span : spans) end = std::max(end, span.first + static_cast<int>(span.weights.size()));
    return end;
  }
};

std::vector<std::int32_t> fixed_point(const std::vector<double>& weights, double sum) {
  std::vector<std::int32_t> out;
  out.reserve(weights.size());
  for (const double weight : weights) {
    const double scaled = (sum != 0.0 ? weight / sum : weight) * (1 << kPrecisionBits);
    out.push_back(static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5));
  }
  return out;
}

Filter make_filter(int input, std::int64_t output, std::int64_t begin, int count) {
  const double scale = static_cast<double>(input) / static_cast<double>(output);
  const double filter_scale = std::max(scale, 1.0);
  const double support = 2.0 * filter_scale;
  const double inverse = 1.0 / filter_scale;
  Filter filter;
  filter.spans.reserve(static_cast<std::size_t>(count));
  std::vector<double> weights;
  for (std::int64_t at = begin; at < begin + count; ++at) {
    const double centre = (static_cast<double>(at) + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - support + 0.5));
    const int end = std::min(input, static_cast<int>(centre + support + 0.5));
    weights.clear();
    double sum = 0.0;
    for (int x = 0; x < end - first; ++x) {
      weights.push_back(bicubic((x + first - centre + 0.5) * inverse));
      sum += weights.back();
    }
    filter.spans.push_back({first, fixed_point(weights, sum)});
  }
  return filter;
}

std::uint8_t to_byte(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

// Rows taken through the horizontal pass together: their bytes stand side by side, so that one weight meets
// kLanes neighbours and the loop over them becomes vector instructions.
constexpr int kStripRows = 16;
constexpr int kLanes = kStripRows * 3;

STRIATE_WIDE_VECTORS
void weigh_columns(const std::uint8_t* columns, const std::int32_t* weights, std::size_t count, std::uint8_t* out) {
  std::array<std::int32_t, kLanes> sums;
  sums.fill(kHalf);
  for (std::size_t tap = 0; tap < count; ++tap, columns += kLanes) {
    const std::int32_t weight = weights[tap];
    for (int lane = 0; lane < kLanes; ++lane) sums[lane] += columns[lane] * weight;
  }
  for (int lane = 0; lane < kLanes; ++lane) out[lane] = to_byte(sums[lane]);
}

// Bytes of a row that the vertical pass sums up before it moves on: their sums stay in the nearest cache.
constexpr std::size_t kRowBlock = 1024;

STRIATE_WIDE_VECTORS
void weigh_rows(const std::uint8_t* rows, std::size_t stride, const std::int32_t* weights, std::size_t count,
                std::size_t length, std::uint8_t* out) {
  std::array<std::int32_t, kRowBlock> sums;
  for (std::size_t i = 0; i < length; ++i) sums[i] = kHalf;
  for (std::size_t tap = 0; tap < count; ++tap) {
    const std::uint8_t* row = rows + tap * stride;
    const std::int32_t weight = weights[tap];
    for (std::size_t i = 0; i < length; ++i) sums[i] += row[i] * weight;
  }
  for (std::size_t i = 0; i < length; ++i) out[i] = to_byte(sums[i]);
}

// One strip of a canvas, before and after the horizontal pass.
class ColumnPass {
 public:
  ColumnPass(const Canvas& canvas, const Filter& filter)
      : canvas_(canvas),
        filter_(filter),
        first_(filter.first()),
        end_(filter.last()),
        strip_(static_cast<std::size_t>(end_ - first_) * kLanes) {}

  // Rows [top, top + rows) of the canvas, at most kStripRows, narrowed to the filter's columns; `out` has room for
  // them.
  void run(int top, int rows, std::uint8_t* out) {
    const int width = static_cast<int>(filter_.spans.size());
    for (int r = 0; r < rows; ++r) gather(top + r, strip_.data() + r * 3);
    for (int x = 0; x < width; ++x) {
      const Filter::Span& span = filter_.spans[x];
      weigh_columns(strip_.data() + static_cast<std::size_t>(span.first - first_) * kLanes, span.weights.data(),
                    span.weights.size(), pixels_.data());
      for (int r = 0; r < rows; ++r) {
        std::copy_n(pixels_.data() + 3 * r, 3, out + (static_cast<std::size_t>(r) * width + x) * 3);
      }
    }
  }

 private:
  // One row of the canvas, its pixels kLanes bytes apart.
  void gather(int y, std::uint8_t* to) const {
    const Image& image = canvas_.image;
    const int row = y - canvas_.top;
    const bool inside = row >= 0 && row < image.height;
    const int left = inside ? std::clamp(canvas_.left, first_, end_) : end_;
    const int right = inside ? std::clamp(canvas_.left + image.width, first_, end_) : end_;
    for (int x = first_; x < left; ++x, to += kLanes) std::copy_n(canvas_.colour.data(), 3, to);
    if (left < right) {
      const std::uint8_t* in =
          image.rgb.data() + (static_cast<std::size_t>(row) * image.width + (left - canvas_.left)) * 3;
      for (int x = left; x < right; ++x, in += 3, to += kLanes) {
        to[0] = in[0];
        to[1] = in[1];
        to[2] = in[2];
      }
    }
    for (int x = right; x < end_; ++x, to += kLanes) std::copy_n(canvas_.colour.data(), 3, to);
  }

  const Canvas& canvas_;
  const Filter& filter_;
  int first_;
  int end_;
  std::vector<std::uint8_t> strip_;
  std::array<std::uint8_t, kLanes> pixels_{};
};

// Rows [first_row, first_row + rows) of the canvas, narrowed to the filter's columns. Strips that hold nothing of the
// picture are all alike and computed once.
Image resize_columns(const Canvas& canvas, int first_row, int rows, const Filter& filter) {
  Image out;
  out.width = static_cast<int>(filter.spans.size());
  out.height = rows;
  const std::size_t stride = static_cast<std::size_t>(out.width) * 3;
  out.rgb.resize(stride * rows);
  ColumnPass pass(canvas, filter);
  const std::uint8_t* blank = nullptr;  // a finished strip without a row of the picture
  for (int top = 0; top < rows; top += kStripRows) {
    const int used = std::min(kStripRows, rows - top);
    const int from = first_row + top;
    std::uint8_t* to = out.rgb.data() + stride * top;
    const bool outside = from + used <= canvas.top || from >= canvas.top + canvas.image.height;
    if (outside && blank != nullptr) {
      std::copy_n(blank, stride * used, to);
      continue;
    }
    pass.run(from, used, to);
    if (outside && used == kStripRows) blank = to;
  }
  return out;
}

// `image` holds the rows of the picture from `first_row` on.
Image resize_rows(const Image& image, int first_row, const Filter& filter) {
  Image out;
  out.width = image.width;
  out.height = static_cast<int>(filter.spans.size());
  const std::size_t stride = static_cast<std::size_t>(image.width) * 3;
  out.rgb.resize(stride * out.height);
  for (int y = 0; y < out.height; ++y) {
    const Filter::Span& span = filter.spans[y];
    const std::uint8_t* rows = image.rgb.data() + stride * (span.first - first_row);
    for (std::size_t at = 0; at < stride; at += kRowBlock) {
      weigh_rows(rows + at, stride, span.weights.data(), span.weights.size(), std::min(kRowBlock, stride - at),
                 out.rgb.data() + stride * y + at);
    }
  }
  return out;
}

}  // namespace

Canvas padded_to_square(const Image& image, const std::array<std::uint8_t, 3>& colour) {
  const int side = std::max(image.width, image.height);
  if (side > kMaxSquareSide) {
    throw unsupported(
        cat("a picture of ", image.width, "x", image.height, " pixels is too long to be padded to a square"),
        "cut it into pieces, or make it smaller first");
  }
  return {image, side, side, (side - image.width) / 2, (side - image.height) / 2, colour};
}

Image resize_bicubic_window(const Canvas& canvas, std::int64_t width, std::int64_t height, const ResizeWindow& window) {
  if (canvas.width <= 0 || canvas.height <= 0 || window.width <= 0 || window.height <= 0) {
    throw invalid_input(cat("resize of ", canvas.width, "x", canvas.height, " to ", window.width, "x", window.height,
                            ": both must have pixels"),
                        "give sizes of at least 1");
  }
  // A side that keeps its length has weights of exactly one pixel: the pass copies, as Pillow does by leaving it out.
  const Filter columns = make_filter(canvas.width, width, window.left, window.width);
  const Filter rows = make_filter(canvas.height, height, window.top, window.height);
  const int first_row = rows.first();
  return resize_rows(resize_columns(canvas, first_row, rows.last() - first_row, columns), first_row, rows);
}

Image resize_bicubic_window(const Image& image, std::int64_t width, std::int64_t height, const ResizeWindow& window) {
  return resize_bicubic_window(Canvas::of(image), width, height, window);
}

Image resize_bicubic(const Image& image, int width, int height) {
  if (image.width == width && image.height == height) return image;
  return resize_bicubic_window(image, width, height, {0, 0, width, height});
}

}  // namespace striate
