// The miniature world: small pictures of coloured shapes, and sometimes two printed characters, on a square grid.
//
// A scene is a function of (seed, purpose, index). Every possible arrangement belongs for good to one of three parts,
// training, held-out or test, by a hash of the arrangement itself: no two parts of any seeds ever share a scene.
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
  bool digit_labels = false;   // labels are two digits; else half of them are, and the others may have letters
  double repeat_share = 0.35;  // of the objects that repeat the colour or the shape of one before
};

// Throws InvalidInput for options that make no scene.
void check(const WorldOptions& options);

// What a sample is for: training, choosing among models while experimenting (held-out), and the final numbers (test).
enum class Part { kTraining, kHeldOut, kTest };

const std::string& name(Part part);  // "training", "held-out", "test"

// Of a hundred arrangements about this many are in these parts, the others in training.
inline constexpr int kHeldOutPercent = 10;
inline constexpr int kTestPercent = 10;

// Which part belongs to anything that is written as text, by a hash of the text.
Part part_of(const std::string& text);

// Which part an arrangement (objects, cells, sizes, label; nothing of how it is drawn) belongs to.
Part part_of(const Scene& scene);

// Scene `index` of `part`.
Scene draw_scene(const WorldOptions& options, Part part, std::uint64_t seed, std::uint64_t index);

}  // namespace striate::mini
