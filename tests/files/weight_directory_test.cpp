#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "striate/files/weight_file.h"
#include "tests/files/weights_fixtures.h"
#include "tests/support/paths.h"
#include "tests/support/weights.h"

namespace striate {
namespace {

using test::expect_error;
using test::Pickle;

class WeightDirectory : public testing::Test {
 protected:
  void shard(const std::string& name, const std::vector<std::pair<std::string, at::Tensor>>& tensors) const {
    write_safetensors(folder_.path() / name, tensors);
  }
  void index(const std::string& weight_map) const {
    test::put_file(folder_.path() / "model.safetensors.index.json",
                   R"({"metadata":{"total_size":1},"weight_map":)" + weight_map + "}");
  }
  std::shared_ptr<const WeightFile> open() const { return open_weight_directory(folder_.path()); }
  void refused(ErrorKind kind, const std::vector<std::string>& words) const {
    expect_error(kind, words, [&] { open(); });
  }

  test::TemporaryFolder folder_;
};

TEST_F(WeightDirectory, ShardsAreOneFile) {
  shard("1.safetensors", {{"a", at::arange(3)}, {"c", at::arange(4)}});
  shard("2.safetensors", {{"b", at::arange(5)}});
  index(R"({"a":"1.safetensors","b":"2.safetensors","c":"1.safetensors"})");
  const auto weights = open();
  ASSERT_EQ(weights->tensors().size(), 3u);
  EXPECT_TRUE(at::equal(weights->load("b"), at::arange(5)));
  EXPECT_TRUE(at::equal(weights->load("c"), at::arange(4)));
  EXPECT_EQ(weights->find("b")->file.filename(), "2.safetensors");
  expect_error(ErrorKind::kInvalidInput, {"\"d\""}, [&] { weights->load("d"); });
}

TEST_F(WeightDirectory, SafetensorsComeBeforePyTorchFiles) {
  shard("model.safetensors", {{"a", at::arange(3)}});
  test::put_file(folder_.path() / "pytorch_model.bin", "not opened");
  EXPECT_NE(open()->find("a"), nullptr);
}

TEST_F(WeightDirectory, PyTorchShardsAreOneFile) {
  const auto one = [](const std::string& name, float value) {
    return test::torch_bytes(
        Pickle::dict({{name, Pickle::tensor(Pickle::storage("FloatStorage", "0", 1), 0, {1}, {1})}}),
        {test::bytes_of<float>({value})});
  };
  test::put_file(folder_.path() / "1.bin", one("a", 1));
  test::put_file(folder_.path() / "2.bin", one("b", 2));
  test::put_file(folder_.path() / "pytorch_model.bin.index.json", R"({"weight_map":{"a":"1.bin","b":"2.bin"}})");
  EXPECT_EQ(open()->load("b").item<float>(), 2);
}

TEST_F(WeightDirectory, WithoutWeightsIsRefused) {
  refused(ErrorKind::kInvalidInput, {"no weights"});
  expect_error(ErrorKind::kInvalidInput, {"not a folder"}, [&] { open_weight_directory(folder_.path() / "none"); });
}

TEST_F(WeightDirectory, IndexNamingAMissingFileIsRefused) {
  shard("1.safetensors", {{"a", at::arange(3)}});
  index(R"({"a":"1.safetensors","b":"2.safetensors"})");
  refused(ErrorKind::kInvalidInput, {"index.json", "\"2.safetensors\"", "does not exist"});
}

TEST_F(WeightDirectory, TensorThatIsNotInItsShardIsRefused) {
  shard("1.safetensors", {{"a", at::arange(3)}});
  shard("2.safetensors", {{"b", at::arange(3)}});
  index(R"({"a":"1.safetensors","b":"1.safetensors","b2":"2.safetensors"})");
  refused(ErrorKind::kCorruptData, {"\"b\"", "not in \"1.safetensors\""});
}

TEST_F(WeightDirectory, OneNameInTwoShardsIsRefused) {
  shard("1.safetensors", {{"a", at::arange(3)}});
  shard("2.safetensors", {{"a", at::arange(3)}, {"b", at::arange(3)}});
  index(R"({"a":"1.safetensors","b":"2.safetensors"})");
  refused(ErrorKind::kCorruptData, {"\"a\"", "two shards", "1.safetensors", "2.safetensors"});
}

TEST_F(WeightDirectory, DamagedShardIsNamed) {
  test::put_file(folder_.path() / "1.safetensors", "short");
  index(R"({"a":"1.safetensors"})");
  refused(ErrorKind::kCorruptData, {"1.safetensors", "too short"});
}

TEST_F(WeightDirectory, IndexCannotLeaveItsFolder) {
  for (const char* name : {"../x.safetensors", "/etc/passwd", "a/../../x.bin", "", "x\\u0000.bin", ".."}) {
    index(cat(R"({"a":")", name, "\"}"));
    refused(ErrorKind::kCorruptData, {"index.json", "outside the folder"});
  }
}

TEST_F(WeightDirectory, ShardWithAnotherEndingIsRefused) {
  test::put_file(folder_.path() / "1.txt", "x");
  index(R"({"a":"1.txt"})");
  refused(ErrorKind::kInvalidInput, {"1.txt", "not a file of weights"});
}

TEST_F(WeightDirectory, BrokenIndexIsRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "empty, not JSON"},
      {"{", "not valid JSON"},
      {"{} x", "not valid JSON"},
      {"[]", "not a JSON object"},
      {"3", "not a JSON object"},
      {"{}", "no weight_map"},
      {R"({"weight_map":[]})", "not an object"},
      {R"({"weight_map":"x"})", "not an object"},
      {R"({"weight_map":{"a":1}})", "no file name for \"a\""},
      {R"({"weight_map":{"a":{}}})", "no file name for \"a\""},
      {R"({"weight_map":{"a":["x"]}})", "no file name for \"a\""},
      {R"({"weight_map":{"a":"x","a":"x"}})", "\"a\" occurs twice"},
      {R"({"weight_map":{},"weight_map":{}})", "\"weight_map\" occurs twice"},
  };
  for (const auto& [text, word] : cases) {
    test::put_file(folder_.path() / "model.safetensors.index.json", text);
    refused(ErrorKind::kCorruptData, {"index.json", word});
  }
}

}  // namespace
}  // namespace striate
