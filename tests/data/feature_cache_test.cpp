#include "striate/data/feature_cache.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <set>
#include <thread>
#include <vector>

#include "striate/base/files.h"
#include "striate/base/sha256.h"
#include "striate/base/strings.h"
#include "striate/data/picture_features.h"
#include "striate/model/picture_settings.h"
#include "tests/data/small_world.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"
#include "tests/support/pretend_device/pretend_device.h"
#include "tests/support/tiny_model.h"
#include "tests/support/weights.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

at::Tensor features(float value, at::ScalarType dtype = at::kFloat) {
  return at::full({4, 16}, value, at::TensorOptions(dtype));
}

TEST(FeatureCache, TheLeastRecentlyUsedMakeRoom) {
  FeatureCache cache(3 * 256);
  for (const char* key : {"a", "b", "c"}) cache.put(key, features(1));
  EXPECT_TRUE(cache.get("a").defined());
  cache.put("d", features(2));
  EXPECT_TRUE(cache.get("a").defined());
  EXPECT_FALSE(cache.get("b").defined());
  EXPECT_TRUE(cache.get("c").defined());
  EXPECT_TRUE(at::equal(cache.get("d"), features(2)));
  EXPECT_EQ(cache.bytes(), 3 * 256);
}

TEST(FeatureCache, WhatIsLargerThanTheCacheIsNotKept) {
  FeatureCache cache(255);
  cache.put("a", features(1));
  EXPECT_FALSE(cache.get("a").defined());
  EXPECT_EQ(cache.bytes(), 0);
}

TEST(FeatureCache, TensorsAreKeptAsTheyAreWhereThatIsAskedFor) {
  const at::Tensor ones = at::ones({2, 3});
  FeatureCache copies(1 << 10), tensors(1 << 10, KeptAs::kTensors);
  copies.put("a", ones);
  tensors.put("a", ones);
  EXPECT_FALSE(copies.get("a").is_alias_of(ones));
  EXPECT_TRUE(tensors.get("a").is_alias_of(ones));
  EXPECT_EQ(tensors.bytes(), 24);
}

TEST(FeatureCache, WhatIsPutIsGivenBackAsItIsKept) {
  const at::Tensor ones = at::ones({2, 3});
  FeatureCache cache(24), none(23);
  const at::Tensor kept = cache.put("a", ones);
  EXPECT_TRUE(kept.is_alias_of(cache.get("a")));
  EXPECT_FALSE(kept.is_alias_of(ones));
  EXPECT_TRUE(cache.put("a", at::zeros({2, 3})).is_alias_of(kept)) << "the first stays";
  EXPECT_TRUE(none.put("a", ones).is_alias_of(ones)) << "there is no room for it";
}

TEST(FeatureCache, PinnedSlotsAreMadeOfMemoryThatADeviceReadsByItself) {
  test::pretend_device();
  FeatureCache pinned(1 << 10, KeptAs::kPinnedCopies), mapped(1 << 10);
  const at::Tensor kept = pinned.put("a", features(3, at::kBFloat16));
  EXPECT_TRUE(kept.is_pinned());
  EXPECT_TRUE(at::equal(kept, features(3, at::kBFloat16)));
  EXPECT_FALSE(mapped.put("a", features(3)).is_pinned());
  // One piece of LibTorch's for many slots.
  SlotArena arena(SlotMemory::kPinned);
  std::vector<at::Tensor> slots;
  for (int i = 0; i < 100; ++i) slots.push_back(arena.copy(features(static_cast<float>(i))));
  for (int i = 0; i < 100; ++i)
    EXPECT_TRUE(at::equal(slots[static_cast<std::size_t>(i)], features(static_cast<float>(i))));
  EXPECT_EQ(arena.bytes(), 16U << 20);
}

TEST(FeatureCache, ItsMemoryIsThatOfItsFeaturesHoweverTheyComeAndGo) {
  SlotArena arena;
  std::vector<at::Tensor> kept;
  for (int i = 0; i < 2000; ++i) {  // 64 kB each
    at::Tensor copy = arena.copy(at::full({64, 256}, i, at::TensorOptions(at::kFloat)));
    if (kept.size() < 500) {
      kept.push_back(copy);
    } else {
      kept[static_cast<std::size_t>(i * 7919 % 500)] = copy;
    }
    ASSERT_EQ(copy[63][255].item<int>(), i);
  }
  EXPECT_LE(arena.bytes(), 501 * 65536 + (16 << 20));
  std::set<const void*> places;
  for (const at::Tensor& tensor : kept) places.insert(tensor.const_data_ptr());
  EXPECT_EQ(places.size(), kept.size());
  EXPECT_TRUE(at::equal(arena.copy(at::ones({3, 5}, at::kHalf).t()), at::ones({5, 3}, at::kHalf)));
  EXPECT_EQ(arena.copy(at::empty({0, 4})).numel(), 0);
}

TEST(FeatureCache, TensorsOutliveTheArena) {
  at::Tensor tensor;
  {
    SlotArena arena;
    tensor = arena.copy(at::full({4, 16}, 3.0F));
  }
  EXPECT_TRUE(at::equal(tensor, features(3)));
}

class FeatureFolderTest : public testing::Test {
 protected:
  fs::path the_file() const {
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      if (entry.is_regular_file()) return entry.path();
    }
    return {};
  }
  test::TemporaryFolder folder_;
};

TEST_F(FeatureFolderTest, GivesBackTheSameBitsInTheSameType) {
  FeatureFolder store(folder_.path() / "deep" / "cache", "tower");
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const at::Tensor values = at::randn({4, 16}).to(dtype);
    const std::string key = store.key(cat("picture", static_cast<int>(dtype)));
    EXPECT_FALSE(store.get(key).defined());
    store.put(key, values);
    ASSERT_TRUE(store.get(key).defined());
    EXPECT_EQ(store.get(key).scalar_type(), dtype);
    EXPECT_TRUE(at::equal(store.get(key), values));
    EXPECT_TRUE(at::equal(FeatureFolder(folder_.path() / "deep" / "cache", "tower").get(key), values));
  }
}

TEST_F(FeatureFolderTest, AnotherTowerOrPictureHasAnotherKey) {
  const FeatureFolder store(folder_.path(), "tower");
  EXPECT_NE(store.key("a"), store.key("b"));
  EXPECT_NE(store.key("a"), FeatureFolder(folder_.path(), "other tower").key("a"));
}

TEST_F(FeatureFolderTest, DamagedFilesCountAsAbsentAndAreReplaced) {
  FeatureFolder store(folder_.path(), "tower");
  const std::string key = store.key("picture");
  store.put(key, features(3));
  const fs::path file = the_file();
  const std::string whole = read_file(file);
  for (std::size_t at = 0; at < whole.size(); at += 7) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    write_file(file, damaged);
    EXPECT_FALSE(store.get(key).defined()) << at;
    write_file(file, whole.substr(0, at));
    EXPECT_FALSE(store.get(key).defined()) << at;
  }
  store.put(key, features(3));
  EXPECT_TRUE(at::equal(store.get(key), features(3)));
}

TEST_F(FeatureFolderTest, AFileStatesItsByteOrderTypeAndShape) {
  FeatureFolder store(folder_.path(), "tower");
  store.put(store.key("picture"), features(3, at::kBFloat16));
  const std::string text = read_file(the_file());
  const std::string order = std::endian::native == std::endian::little ? "little-endian" : "big-endian";
  EXPECT_EQ(text.substr(0, text.find('\n', 20) + 1), cat("striate features 2\n", order, " bfloat16 4 16\n"));
}

TEST_F(FeatureFolderTest, WholeFilesOfAnotherOrderTypeShapeOrVersionCountAsAbsent) {
  FeatureFolder store(folder_.path(), "tower");
  const std::string key = store.key("picture");
  store.put(key, features(3));
  const fs::path file = the_file();
  const std::string whole = read_file(file);
  const std::size_t begin = whole.find('\n') + 1, end = whole.find('\n', begin);
  const std::string values = whole.substr(end + 1, 4 * 16 * 4);
  const auto is_read = [&](const std::string& head) {
    write_file(file, cat(head, values, sha256_of(head + values)));
    return store.get(key).defined();
  };
  const std::string line = whole.substr(begin, end - begin);
  const std::string order = line.substr(0, line.find(' '));
  ASSERT_TRUE(is_read(cat("striate features 2\n", line, "\n")));
  const std::string other = order == "big-endian" ? "little-endian" : "big-endian";
  for (const std::string& head :
       {cat(other, " float32 4 16"), cat(order, " float64 4 8"), cat(order, " float32 4 17"),
        cat(order, " float32 -4 -16"), cat(order, " float32 4 16 1"), cat(order, " float32 4"),
        cat(order, " float32 4611686018427387908 16"), cat(order, " float32 4x 16"), std::string()}) {
    EXPECT_FALSE(is_read(cat("striate features 2\n", head, "\n"))) << head;
  }
  std::string shape(24, '\0');  // of version 1: three int64, the first of them the type
  shape[0] = 6, shape[8] = 4, shape[16] = 16;
  EXPECT_FALSE(is_read("striate features 1\n" + shape));
  store.put(key, features(3));
  EXPECT_TRUE(at::equal(store.get(key), features(3)));
}

TEST_F(FeatureFolderTest, WritersOfOneKeyLeaveOneWholeFile) {
  FeatureFolder one(folder_.path(), "tower");
  FeatureFolder other(folder_.path(), "tower");
  const std::string key = one.key("picture");
  std::vector<std::thread> writers;
  for (FeatureFolder* store : {&one, &other}) {
    writers.emplace_back([store, key] {
      for (int i = 0; i < 50; ++i) store->put(key, features(3));
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_TRUE(at::equal(one.get(key), features(3)));
  EXPECT_EQ(std::distance(fs::recursive_directory_iterator(folder_.path()), {}), 2);  // a folder and a file in it
}

TEST_F(FeatureFolderTest, AFolderThatCannotBeMadeIsAnError) {
  write_file(folder_.path() / "file", "x");
  EXPECT_ERROR(FeatureFolder(folder_.path() / "file", "tower"), "file");
}

TEST(TowerIdentity, ChangesWithAWeightAndThePreprocessing) {
  const auto model = test::tiny_model();
  const PreprocessConfig pixels = preprocess_config(model->config(), {});
  EXPECT_EQ(tower_identity(*model, pixels), tower_identity(*test::tiny_model(), pixels));
  PreprocessConfig cropped = pixels;
  cropped.pad_to_square = !cropped.pad_to_square;
  EXPECT_NE(tower_identity(*model, pixels), tower_identity(*model, cropped));
  EXPECT_NE(tower_identity(*model, pixels), tower_identity(*test::tiny_model({}, Compute::kBFloat16), pixels));
  // One bit of one weight of the tower.
  const test::TemporaryFolder folder;
  test::write_tiny_weights(folder.path() / "a.safetensors");
  const auto source = open_safetensors(folder.path() / "a.safetensors");
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  bool changed = false;
  for (const TensorInfo& info : source->tensors()) {
    at::Tensor values = source->load(info.name).clone();
    if (!changed && info.name.find("vision_tower") != std::string::npos && info.name.ends_with("fc1.weight")) {
      values.view({-1})[5].mul_(1.0001);
      changed = true;
    }
    tensors.emplace_back(info.name, values);
  }
  ASSERT_TRUE(changed);
  write_safetensors(folder.path() / "b.safetensors", tensors);
  WeightSource weights;
  weights.add(open_safetensors(folder.path() / "b.safetensors"));
  const Lvlm other(test::tiny_config(), weights, model->placement());
  EXPECT_NE(tower_identity(*model, pixels), tower_identity(other, pixels));
}

class PictureFeaturesTest : public testing::Test {
 protected:
  std::vector<at::Tensor> look(PictureFeatures& pictures, const std::vector<std::string>& names) {
    std::size_t at = 0;
    return pictures.features(names.size(), [&] { return pictures.load(names[at++]); });
  }
  PictureFolder pictures() const { return picture_folder(world_.model().config(), world_.images(), std::nullopt); }
  PictureFeatures features(std::int64_t cache = 0, const fs::path& folder = {}) {
    return PictureFeatures(world_.model(), pictures(), {.bytes = cache, .folder = folder, .notes = {}}, pool_);
  }

  test::SmallWorld world_{60};
  WorkerPool pool_{2};
};

TEST_F(PictureFeaturesTest, FeaturesAreTheTowersWhateverIsInTheCaches) {
  const std::vector<std::string> names = {"p1.bmp", "p2.bmp", "p4.bmp", "p2.bmp", "p7.bmp", "p8.bmp"};
  PictureFeatures plain = features();
  const std::vector<at::Tensor> expected = look(plain, names);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const at::Tensor alone = world_.model().vision_features(plain.pixels(names[i]).unsqueeze(0))[0];
    EXPECT_TRUE(at::allclose(expected[i], alone, 1e-5, 1e-5)) << i;
    // Alone or among others, the bits are the same.
    EXPECT_TRUE(at::equal(look(plain, {names[i]})[0], expected[i])) << i;
  }
  const fs::path folder = world_.path("cache");
  for (const std::int64_t cache : {0, 512, 1 << 20}) {
    PictureFeatures pictures = features(cache, folder);
    for (int round = 0; round < 3; ++round) {
      const std::vector<at::Tensor> got = look(pictures, names);
      for (std::size_t i = 0; i < names.size(); ++i) EXPECT_TRUE(at::equal(got[i], expected[i])) << i;
    }
  }
}

TEST_F(PictureFeaturesTest, CachedPicturesAreNotDecodedAgain) {
  const fs::path folder = world_.path("cache");
  {
    PictureFeatures pictures = features(1 << 20, folder);
    look(pictures, {"p1.bmp"});
    look(pictures, {"p2.bmp"});  // waits for the writing of the first
    EXPECT_TRUE(pictures.load("p1.bmp").features.defined());
  }
  PictureFeatures pictures = features(0, folder);
  const LoadedPicture picture = pictures.load("p1.bmp");
  EXPECT_TRUE(picture.features.defined());
  EXPECT_FALSE(picture.pixels.defined());
  world_.write_image("p1.bmp", test::bmp_picture(20, 20, 99));  // other bytes: other features
  EXPECT_TRUE(features(0, folder).load("p1.bmp").pixels.defined());
}

TEST_F(PictureFeaturesTest, NamesStayInsideTheFolder) {
  PictureChecker checker(pictures());
  const auto reason = [&](const std::string& name) -> std::optional<BadReason> {
    try {
      checker.check(name);
    } catch (const BadSample& bad) {
      return bad.reason();
    }
    return std::nullopt;
  };
  write_file(world_.path("outside.bmp"), test::bmp_picture(4, 4, 1));
  EXPECT_EQ(reason("p1.bmp"), std::nullopt);
  EXPECT_EQ(reason("./nothing/../p1.bmp"), std::nullopt);
  EXPECT_EQ(reason(world_.path("outside.bmp").string()), std::nullopt);
  EXPECT_EQ(reason("../outside.bmp"), BadReason::kImagePath);
  EXPECT_EQ(reason("a/../../outside.bmp"), BadReason::kImagePath);
  EXPECT_EQ(reason(""), BadReason::kImagePath);
  EXPECT_EQ(reason(std::string("p1.bmp\0.png", 11)), BadReason::kImagePath);
  EXPECT_EQ(reason("absent.bmp"), BadReason::kMissingImage);
  EXPECT_EQ(reason("."), BadReason::kMissingImage);
  EXPECT_EQ(reason("/dev/zero"), BadReason::kMissingImage);
  world_.write_image("empty.bmp", "");
  world_.write_image("text.bmp", "not a picture");
  world_.write_image("half.bmp", test::bmp_picture(20, 20, 1).substr(0, 700));
  for (const char* name : {"empty.bmp", "text.bmp", "half.bmp"}) EXPECT_EQ(reason(name), BadReason::kBrokenImage);
}

}  // namespace
}  // namespace striate
