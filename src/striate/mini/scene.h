// The miniature world: small pictures of coloured shapes, and sometimes two printed characters, on a square grid.
//
// A scene is a function of (seed, purpose, index). Every possible arrangement belongs for good to one of two parts,
// training or held-out, by a hash of the arrangement itself: no held-out scene of any seed is ever seen in training.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace striate::mini {

enum class Colour { kRed, kOrange, kYellow, kGreen, kBlue, kPurple, kWhite };
enum class Shape { kCircle, kSquare, kTriangle, kCross, kDiamond, kRing };
enum class Size { kSmall, kLarge };
inline constexpr int kColours = 7;
inline constexpr int kShapes = 6;
inline constexpr int kSizes = 2;

const std::string& name(Colour colour);
const std::string& name(Shape shape);
const std::string& name(Size size);

// Rows and columns are counted from 0 at the top left; people are told them from 1.
struct Cell {
  int row = 0;
  int column = 0;
  bool operator==(const Cell&) const = default;
};

struct Object {
  Cell cell;
  Colour colour = Colour::kRed;
  Shape shape = Shape::kCircle;
  Size size = Size::kLarge;
};

// Two printed characters, digits or capital letters.
struct Label {
  Cell cell;
  std::string text;
};

struct Scene {
  int grid = 4;                 // cells along a side
  std::vector<Object> objects;  // in reading order; no two agree in colour and shape
  std::optional<Label> label;
};

struct WorldOptions {
  int grid = 4;                // cells along a side, 2 to 6
  int max_objects = 4;         // 1 up to this many, drawn uniformly
  double label_share = 0.85;   // of the scenes with a printed label; at least one cell more than objects is needed
  bool small_objects = true;   // else all are large
  double repeat_share = 0.35;  // of the objects that repeat the colour or the shape of one before
};

// Throws InvalidInput for options that make no scene.
void check(const WorldOptions& options);

enum class Part { kTraining, kHeldOut };

// One arrangement in a hundred parts: about this many of a hundred are held out.
inline constexpr int kHeldOutPercent = 20;

// Which part an arrangement (objects, cells, sizes, label; nothing of how it is drawn) belongs to.
Part part_of(const Scene& scene);

// Scene `index` of `part`.
Scene draw_scene(const WorldOptions& options, Part part, std::uint64_t seed, std::uint64_t index);

}  // namespace striate::mini
