#include "striate/mini/scene.h"

#include <algorithm>
#include <array>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/mini/draws.h"

namespace striate::mini {
namespace {

const std::array<std::string, kColours> kColourNames = {"red", "orange", "yellow", "green", "blue", "purple", "white"};
const std::array<std::string, kShapes> kShapeNames = {"circle", "square", "triangle", "cross", "diamond", "ring"};
const std::array<std::string, kSizes> kSizeNames = {"small", "large"};
const std::array<std::string, 3> kPartNames = {"training", "held-out", "test"};

// A colour and a shape that no object has yet; now and then one of them is repeated, so that counting and comparing
// have something to find.
Object draw_object(const WorldOptions& options, const std::vector<Object>& before, Draws& draws) {
  while (true) {
    Object object{.cell = {},
                  .colour = static_cast<Colour>(draws.below(kColours)),
                  .shape = static_cast<Shape>(draws.below(kShapes))};
    if (!before.empty() && draws.chance(options.repeat_share)) {
      const Object& other = draws.pick(before);
      if (draws.chance(0.5)) {
        object.colour = other.colour;
      } else {
        object.shape = other.shape;
      }
    }
    object.size = options.small_objects ? static_cast<Size>(draws.below(kSizes)) : Size::kLarge;
    const auto same = [&](const Object& other) { return other.colour == object.colour && other.shape == object.shape; };
    if (std::none_of(before.begin(), before.end(), same)) return object;
  }
}

// Half of the labels are two digits, so that there is something to add; the others mix digits and letters.
std::string draw_label(const WorldOptions& options, Draws& draws) {
  const int characters = draws.chance(0.5) || options.digit_labels ? 10 : 36;
  std::string text;
  for (int i = 0; i < 2; ++i) {
    const int character = draws.below(characters);
    text += static_cast<char>(character < 10 ? '0' + character : 'A' + character - 10);
  }
  return text;
}

Scene draw_any(const WorldOptions& options, Draws& draws) {
  Scene scene{.grid = options.grid, .objects = {}, .label = {}};
  std::vector<Cell> cells;
  for (int i = 0; i < options.grid * options.grid; ++i) cells.push_back({i / options.grid, i % options.grid});
  draws.shuffle(cells);
  const int count = 1 + draws.below(options.max_objects);
  for (int i = 0; i < count; ++i) {
    scene.objects.push_back(draw_object(options, scene.objects, draws));
    scene.objects.back().cell = cells[static_cast<std::size_t>(i)];
  }
  if (draws.chance(options.label_share)) {
    scene.label = Label{.cell = cells[static_cast<std::size_t>(count)], .text = draw_label(options, draws)};
  }
  std::sort(scene.objects.begin(), scene.objects.end(), [](const Object& a, const Object& b) {
    return a.cell.row != b.cell.row ? a.cell.row < b.cell.row : a.cell.column < b.cell.column;
  });
  return scene;
}

}  // namespace

const std::string& name(Colour colour) {
  return kColourNames.at(static_cast<std::size_t>(colour));
}
const std::string& name(Shape shape) {
  return kShapeNames.at(static_cast<std::size_t>(shape));
}
const std::string& name(Size size) {
  return kSizeNames.at(static_cast<std::size_t>(size));
}

const std::string& name(Part part) {
  return kPartNames.at(static_cast<std::size_t>(part));
}

void check(const WorldOptions& options) {
  constexpr int kSmallestGrid = 2, kLargestGrid = 6;
  if (options.grid < kSmallestGrid || options.grid > kLargestGrid) {
    throw invalid_input(cat("a grid of ", options.grid, " cells along a side is not allowed"),
                        cat("give ", kSmallestGrid, " to ", kLargestGrid));
  }
  const bool label = options.label_share > 0;
  const int most = std::min(options.grid * options.grid - (label ? 1 : 0), kColours * kShapes / 2);
  if (options.max_objects < 1 || options.max_objects > most) {
    throw invalid_input(cat("up to ", options.max_objects, " objects on ", options.grid, "x", options.grid, " cells",
                            label ? " with a label" : ""),
                        cat("give 1 to ", most));
  }
  if (!(options.label_share >= 0 && options.label_share <= 1 && options.repeat_share >= 0 &&
        options.repeat_share <= 1)) {
    throw invalid_input("a share of the scenes or objects is outside 0 to 1", "give a number from 0 to 1");
  }
}

Part part_of(const std::string& text) {
  const std::uint64_t share = RandomStream(0, text).bits(0) % 100;
  if (share < kHeldOutPercent) return Part::kHeldOut;
  return share < kHeldOutPercent + kTestPercent ? Part::kTest : Part::kTraining;
}

Part part_of(const Scene& scene) {
  std::string arrangement = cat(scene.grid);
  for (const Object& o : scene.objects) {
    arrangement += cat(';', o.cell.row, ',', o.cell.column, ',', name(o.colour), ',', name(o.shape), ',', name(o.size));
  }
  if (scene.label)
    arrangement += cat(';', scene.label->cell.row, ',', scene.label->cell.column, ',', scene.label->text);
  return part_of(arrangement);
}

Scene draw_scene(const WorldOptions& options, Part part, std::uint64_t seed, std::uint64_t index) {
  check(options);
  Draws draws(seed, cat(name(part), " scene"), index);
  while (true) {
    Scene scene = draw_any(options, draws);
    if (part_of(scene) == part) return scene;
  }
}

}  // namespace striate::mini
