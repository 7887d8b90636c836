#include "striate/mini/render.h"

#include <array>
#include <cmath>
#include <numbers>

#include "striate/base/error.h"
#include "striate/mini/draws.h"
#include "striate/mini/font.h"

namespace striate::mini {
namespace {

using Rgb = std::array<double, 3>;  // 0 to 1

constexpr std::array<Rgb, kColours> kInks = {{
    {0.90, 0.12, 0.12},  // red
    {1.00, 0.55, 0.05},  // orange
    {0.95, 0.90, 0.15},  // yellow
    {0.15, 0.75, 0.25},  // green
    {0.15, 0.35, 0.95},  // blue
    {0.65, 0.20, 0.80},  // purple
    {0.95, 0.95, 0.95},  // white
}};
constexpr Rgb kLabelInk = {0.80, 0.80, 0.80};

constexpr double kPixelNoise = 0.02, kColourNoise = 0.05;
constexpr double kDarkest = 0.02, kBrightest = 0.18;  // background
constexpr double kSmallRadius = 4, kLargeRadius = 7;  // pixels
constexpr int kSmallShift = 3, kLargeShift = 1, kLabelShiftAcross = 2, kLabelShiftDown = 3;
constexpr int kGlyphGap = 1;

class Canvas {
 public:
  Canvas(int side, Draws& draws) : side_(side), pixels_(static_cast<std::size_t>(side * side)) {
    Rgb background;
    for (double& channel : background) channel = draws.between(kDarkest, kBrightest);
    std::fill(pixels_.begin(), pixels_.end(), background);
  }

  Rgb& at(int x, int y) { return pixels_[static_cast<std::size_t>(y * side_ + x)]; }

  // 8 bits a channel, with noise.
  Image finish(Draws& draws) const;

 private:
  int side_;
  std::vector<Rgb> pixels_;
};

Image Canvas::finish(Draws& draws) const {
  Image image{.width = side_, .height = side_, .rgb = {}};
  image.rgb.reserve(pixels_.size() * 3);
  for (const Rgb& pixel : pixels_) {
    for (const double channel : pixel) {
      // The sum of three uniforms is near enough to a Gaussian; its sigma is one half.
      const double noise = (draws.uniform() + draws.uniform() + draws.uniform() - 1.5) * 2 * kPixelNoise;
      image.rgb.push_back(static_cast<std::uint8_t>(std::lround(std::clamp(channel + noise, 0.0, 1.0) * 255)));
    }
  }
  return image;
}

// Whether the point (x right, y down, in radii from the centre) is inside the shape.
bool inside(Shape shape, double x, double y) {
  const double ax = std::abs(x), ay = std::abs(y);
  switch (shape) {
    case Shape::kCircle:
      return x * x + y * y <= 1;
    case Shape::kSquare:
      return std::max(ax, ay) <= 0.85;
    case Shape::kTriangle:  // upright
      return y <= 0.85 && y >= -0.95 && ax <= (y + 0.95) / 1.8;
    case Shape::kCross:
      return std::max(ax, ay) <= 1 && std::min(ax, ay) <= 0.3;
    case Shape::kDiamond:
      return ax + ay <= 1.1;
    case Shape::kRing: {
      const double r = std::sqrt(x * x + y * y);
      return r <= 1 && r >= 0.55;
    }
  }
  throw internal_error("unknown shape");
}

// The share of a pixel that a shape covers, by 3x3 points.
double coverage(Shape shape, double x, double y, double radius) {
  constexpr int kPoints = 3;
  int hits = 0;
  for (int i = 0; i < kPoints * kPoints; ++i) {
    const double dx = (i % kPoints + 0.5) / kPoints, dy = (i / kPoints + 0.5) / kPoints;
    if (inside(shape, (x + dx) / radius, (y + dy) / radius)) ++hits;
  }
  return static_cast<double>(hits) / (kPoints * kPoints);
}

Rgb varied(const Rgb& ink, Draws& draws) {
  Rgb out;
  for (std::size_t c = 0; c < out.size(); ++c) {
    out[c] = std::clamp(ink[c] + draws.between(-1, 1) * kColourNoise * std::numbers::sqrt3, 0.0, 1.0);
  }
  return out;
}

int shift(int most, Draws& draws) {
  return draws.below(2 * most + 1) - most;
}

void draw(Canvas& canvas, const Object& object, Draws& draws) {
  const bool large = object.size == Size::kLarge;
  const double radius = large ? kLargeRadius : kSmallRadius;
  const int most = large ? kLargeShift : kSmallShift;
  const double centre_x = kCellPixels / 2.0 + shift(most, draws), centre_y = kCellPixels / 2.0 + shift(most, draws);
  const Rgb ink = varied(kInks.at(static_cast<std::size_t>(object.colour)), draws);
  for (int y = 0; y < kCellPixels; ++y) {
    for (int x = 0; x < kCellPixels; ++x) {
      const double share = coverage(object.shape, x - centre_x, y - centre_y, radius);
      Rgb& pixel = canvas.at(object.cell.column * kCellPixels + x, object.cell.row * kCellPixels + y);
      for (std::size_t c = 0; c < pixel.size(); ++c) pixel[c] += share * (ink[c] - pixel[c]);
    }
  }
}

void draw(Canvas& canvas, const Label& label, Draws& draws) {
  const int width = 2 * kGlyphWidth + kGlyphGap;
  const int left = (kCellPixels - width) / 2 + shift(kLabelShiftAcross, draws);
  const int top = (kCellPixels - kGlyphHeight) / 2 + shift(kLabelShiftDown, draws);
  const Rgb ink = varied(kLabelInk, draws);
  for (std::size_t i = 0; i < label.text.size(); ++i) {
    const Glyph& rows = glyph(label.text[i]);
    const int begin = left + static_cast<int>(i) * (kGlyphWidth + kGlyphGap);
    for (int y = 0; y < kGlyphHeight; ++y) {
      for (int x = 0; x < kGlyphWidth; ++x) {
        if ((rows[static_cast<std::size_t>(y)] >> (kGlyphWidth - 1 - x) & 1) == 0) continue;
        canvas.at(label.cell.column * kCellPixels + begin + x, label.cell.row * kCellPixels + top + y) = ink;
      }
    }
  }
}

}  // namespace

Image render_scene(const Scene& scene, std::uint64_t seed, std::uint64_t index) {
  Draws draws(seed, "picture", index);
  Canvas canvas(scene.grid * kCellPixels, draws);
  for (const Object& object : scene.objects) draw(canvas, object, draws);
  if (scene.label) draw(canvas, *scene.label, draws);
  return canvas.finish(draws);
}

}  // namespace striate::mini
