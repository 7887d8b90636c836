#include "striate/mini/scene.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/mini/png_encoder.h"
#include "striate/mini/questions.h"
#include "striate/mini/render.h"

namespace striate::mini {
namespace {

using testing::HasSubstr;

TEST(Scene, DependsOnSeedPartAndIndexAlone) {
  const WorldOptions world;
  const auto map = [&](Part part, std::uint64_t seed, std::uint64_t index) {
    return scene_map(draw_scene(world, part, seed, index));
  };
  std::set<std::string> maps;
  for (std::uint64_t index = 0; index < 100; ++index) {
    EXPECT_EQ(map(Part::kTraining, 1, index), map(Part::kTraining, 1, index));
    maps.insert({map(Part::kTraining, 1, index), map(Part::kTraining, 2, index), map(Part::kHeldOut, 1, index)});
  }
  EXPECT_GT(maps.size(), 290U);
}

TEST(Scene, HoldsWhatTheOptionsAllow) {
  for (const int grid : {2, 3, 4, 6}) {
    const WorldOptions world{.grid = grid, .max_objects = 3};
    std::set<std::size_t> counts;
    int labels = 0, small = 0, objects = 0;
    for (std::uint64_t index = 0; index < 400; ++index) {
      const Scene scene = draw_scene(world, Part::kTraining, 7, index);
      std::set<std::pair<int, int>> cells;
      std::set<std::pair<Colour, Shape>> kinds;
      for (const Object& object : scene.objects) {
        EXPECT_TRUE(object.cell.row >= 0 && object.cell.row < grid);
        EXPECT_TRUE(object.cell.column >= 0 && object.cell.column < grid);
        cells.insert({object.cell.row, object.cell.column});
        kinds.insert({object.colour, object.shape});
        small += object.size == Size::kSmall ? 1 : 0;
        ++objects;
      }
      if (scene.label) cells.insert({scene.label->cell.row, scene.label->cell.column});
      EXPECT_EQ(cells.size(), scene.objects.size() + (scene.label ? 1 : 0));
      EXPECT_EQ(kinds.size(), scene.objects.size());
      counts.insert(scene.objects.size());
      labels += scene.label ? 1 : 0;
    }
    EXPECT_EQ(counts, (std::set<std::size_t>{1, 2, 3}));
    EXPECT_NEAR(labels, 340, 30);
    EXPECT_NEAR(small, objects / 2, 70);
  }
  const WorldOptions plain{.grid = 3, .max_objects = 2, .label_share = 0, .small_objects = false};
  for (std::uint64_t index = 0; index < 100; ++index) {
    const Scene scene = draw_scene(plain, Part::kHeldOut, 7, index);
    EXPECT_FALSE(scene.label);
    for (const Object& object : scene.objects) EXPECT_EQ(object.size, Size::kLarge);
  }
}

TEST(Scene, PartsOfAnySeedsShareNoScene) {
  // A world so small that most of its arrangements come up.
  const WorldOptions tiny{.grid = 2, .max_objects = 1, .label_share = 0, .small_objects = false};
  std::map<Part, std::set<std::string>> maps;
  std::set<std::string> all;
  for (const Part part : {Part::kTraining, Part::kHeldOut, Part::kTest}) {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      for (std::uint64_t index = 0; index < 1500; ++index) {
        maps[part].insert(scene_map(draw_scene(tiny, part, seed, index)));
      }
    }
    all.insert(maps[part].begin(), maps[part].end());
  }
  const std::size_t arrangements = 4 * kColours * kShapes;
  EXPECT_EQ(maps[Part::kTraining].size() + maps[Part::kHeldOut].size() + maps[Part::kTest].size(), arrangements);
  EXPECT_EQ(all.size(), arrangements);
  EXPECT_NEAR(static_cast<double>(maps[Part::kHeldOut].size()), arrangements * kHeldOutPercent / 100.0, 12);
  EXPECT_NEAR(static_cast<double>(maps[Part::kTest].size()), arrangements * kTestPercent / 100.0, 12);
}

TEST(Scene, LabelsCanBeDigitsAlone) {
  const WorldOptions digits{.label_share = 1, .digit_labels = true};
  std::set<std::string> labels;
  for (std::uint64_t index = 0; index < 1000; ++index) {
    labels.insert(draw_scene(digits, Part::kTraining, 7, index).label->text);
  }
  EXPECT_GT(labels.size(), 95U);
  for (const std::string& label : labels) EXPECT_EQ(label.find_first_not_of("0123456789"), std::string::npos) << label;
}

TEST(Scene, ImpossibleWorldsAreRefused) {
  const auto refusal = [](const WorldOptions& world) {
    try {
      draw_scene(world, Part::kTraining, 0, 0);
      return std::string("accepted");
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      return cat(error.what(), " | ", error.hint());
    }
  };
  EXPECT_THAT(refusal({.grid = 1}), HasSubstr("a grid of 1 cells"));
  EXPECT_THAT(refusal({.grid = 7}), HasSubstr("give 2 to 6"));
  EXPECT_THAT(refusal({.grid = 2, .max_objects = 4}), HasSubstr("2x2 cells with a label | give 1 to 3"));
  EXPECT_THAT(refusal({.grid = 2, .max_objects = 5, .label_share = 0}), HasSubstr("2x2 cells | give 1 to 4"));
  EXPECT_THAT(refusal({.grid = 6, .max_objects = 30}), HasSubstr("give 1 to 21"));
  EXPECT_THAT(refusal({.max_objects = 0}), HasSubstr("up to 0 objects"));
  EXPECT_THAT(refusal({.label_share = 1.5}), HasSubstr("outside 0 to 1"));
  EXPECT_THAT(refusal({.label_share = std::nan("")}), HasSubstr("outside 0 to 1"));
  EXPECT_THAT(refusal({.repeat_share = -0.1}), HasSubstr("outside 0 to 1"));
}

// Mean colour of a cell, 0 to 255.
std::array<double, 3> mean_colour(const Image& image, const Cell& cell) {
  std::array<double, 3> sum{};
  for (int y = 0; y < kCellPixels; ++y) {
    for (int x = 0; x < kCellPixels; ++x) {
      const int pixel = (cell.row * kCellPixels + y) * image.width + cell.column * kCellPixels + x;
      for (int c = 0; c < 3; ++c)
        sum[static_cast<std::size_t>(c)] += image.rgb[static_cast<std::size_t>(3 * pixel + c)];
    }
  }
  for (double& channel : sum) channel /= kCellPixels * kCellPixels;
  return sum;
}

TEST(Picture, ShowsEachObjectInItsCellAndNothingElsewhere) {
  const Object red{.cell = {0, 1}, .colour = Colour::kRed, .shape = Shape::kSquare, .size = Size::kLarge};
  const Object blue{.cell = {2, 2}, .colour = Colour::kBlue, .shape = Shape::kCircle, .size = Size::kLarge};
  const Scene scene{.grid = 3, .objects = {red, blue}, .label = Label{{1, 0}, "W8"}};
  const Image image = render_scene(scene, 5, 9);
  ASSERT_EQ(image.width, 3 * kCellPixels);
  ASSERT_EQ(image.height, 3 * kCellPixels);
  constexpr double kBackground = 0.18 * 255 + 3;
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 3; ++column) {
      const Cell cell{row, column};
      const auto [r, g, b] = mean_colour(image, cell);
      if (cell == red.cell) {
        EXPECT_GT(r, 100);
        EXPECT_LT(std::max(g, b), 60);
      } else if (cell == blue.cell) {
        EXPECT_GT(b, 100);
        EXPECT_LT(r, 70);
      } else if (cell == scene.label->cell) {
        EXPECT_GT(std::min({r, g, b}), 20);
      } else {
        EXPECT_LT(std::max({r, g, b}), kBackground);
      }
    }
  }
}

TEST(Picture, EveryShapeSizeAndCharacterLooksDifferent) {
  std::set<std::string> pictures;
  const auto add = [&](const Scene& scene) { pictures.insert(encode_png(render_scene(scene, 1, 1))); };
  for (int shape = 0; shape < kShapes; ++shape) {
    for (int size = 0; size < kSizes; ++size) {
      for (int colour = 0; colour < kColours; ++colour) {
        const Object object{{0, 0}, static_cast<Colour>(colour), static_cast<Shape>(shape), static_cast<Size>(size)};
        add({.grid = 2, .objects = {object}, .label = {}});
      }
    }
  }
  for (const char character : std::string("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
    add({.grid = 2, .objects = {}, .label = Label{{1, 1}, std::string(2, character)}});
  }
  EXPECT_EQ(pictures.size(), static_cast<std::size_t>(kShapes * kSizes * kColours + 36));
}

TEST(Picture, DependsOnSeedAndIndexAndSurvivesAsPng) {
  const Scene scene = draw_scene({}, Part::kTraining, 3, 4);
  const Image image = render_scene(scene, 3, 4);
  EXPECT_EQ(image.rgb, render_scene(scene, 3, 4).rgb);
  EXPECT_NE(image.rgb, render_scene(scene, 3, 5).rgb);
  EXPECT_NE(image.rgb, render_scene(scene, 4, 4).rgb);
  const std::string png = encode_png(image);
  const Image read = decode_image(std::as_bytes(std::span(png.data(), png.size())), "test");
  EXPECT_EQ(read.width, image.width);
  EXPECT_EQ(read.rgb, image.rgb);
}

TEST(Picture, NoiseHasTheSigmaItSays) {
  const Scene scene{.grid = 6, .objects = {}, .label = {}};
  const Image image = render_scene(scene, 1, 1);
  double sum = 0, squares = 0;
  const double count = static_cast<double>(image.rgb.size()) / 3;
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    sum += image.rgb[i] / 255.0;
    squares += image.rgb[i] / 255.0 * (image.rgb[i] / 255.0);
  }
  EXPECT_NEAR(std::sqrt(squares / count - sum / count * (sum / count)), 0.02, 0.002);
}

}  // namespace
}  // namespace striate::mini
