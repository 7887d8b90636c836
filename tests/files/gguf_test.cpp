// GGUF files: what is written is read back; damaged files are refused, and say why.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "striate/files/gguf_reader.h"
#include "striate/files/gguf_writer.h"
#include "striate/files/q8_0.h"
#include "tests/files/weights_fixtures.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using test::little_endian;
using test::TemporaryFolder;

at::Tensor wave(std::vector<std::int64_t> shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return at::sin(at::arange(count, at::TensorOptions(at::kFloat)) * 1.7).view(shape);
}

GgufMetadata one_of_each() {
  return {{"u8", std::uint8_t{200}},
          {"i8", std::int8_t{-3}},
          {"u16", std::uint16_t{60000}},
          {"i16", std::int16_t{-300}},
          {"u32", std::uint32_t{4'000'000'000}},
          {"i32", std::int32_t{-70000}},
          {"f32", 1.5F},
          {"yes", true},
          {"text", std::string("gr\xC3\xBC\xC3\x9F")},
          {"u64", std::uint64_t{1} << 63},
          {"i64", std::int64_t{-1} << 40},
          {"f64", 0.1},
          {"texts", GgufArray(std::vector<std::string>{"a", "", "bc"})},
          {"floats", GgufArray(std::vector<float>{0.5F, -2.0F})},
          {"flags", GgufArray(std::vector<bool>{true, false, true})},
          {"none", GgufArray(std::vector<std::int32_t>{})}};
}

void write(const fs::path& path, const GgufMetadata& metadata,
           const std::vector<std::pair<GgufWriter::Entry, at::Tensor>>& tensors) {
  std::vector<GgufWriter::Entry> entries;
  for (const auto& [entry, tensor] : tensors) entries.push_back(entry);
  GgufWriter writer(anywhere(path), metadata, entries);
  for (const auto& [entry, tensor] : tensors) writer.append(tensor);
  writer.commit();
  EXPECT_EQ(writer.file_bytes(), fs::file_size(path));
}

GgufWriter::Entry entry(const std::string& name, GgufType type, const at::Tensor& tensor) {
  return {name, type, tensor.sizes().vec()};
}

std::string error_of(const fs::path& path) {
  try {
    (void)GgufFile::open(path);
  } catch (const Error& error) {
    EXPECT_NE(error.kind(), ErrorKind::kInternal);
    EXPECT_FALSE(error.hint().empty());
    return error.what();
  }
  return "opened";
}

TEST(Gguf, MetadataOfEveryTypeComesBack) {
  const TemporaryFolder folder;
  write(folder.path() / "x.gguf", one_of_each(), {});
  EXPECT_EQ(GgufFile::open(folder.path() / "x.gguf")->metadata(), one_of_each());
}

TEST(Gguf, TensorsComeBackInTheirTypesAndShapes) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "x.gguf";
  const at::Tensor matrix = wave({3, 64});
  const at::Tensor kernel = wave({2, 3, 5, 5});
  write(path, {},
        {{entry("f32", GgufType::kFloat32, matrix), matrix},
         {entry("f16", GgufType::kFloat16, kernel), kernel},
         {entry("bf16", GgufType::kBFloat16, matrix), matrix.to(at::kBFloat16)},
         {entry("q8_0", GgufType::kQ8_0, matrix), matrix}});
  const auto file = GgufFile::open(path);
  ASSERT_EQ(file->tensors().size(), 4U);
  EXPECT_TRUE(file->load(*file->find("f32")).equal(matrix));
  EXPECT_TRUE(file->load(*file->find("f16")).equal(kernel.to(at::kHalf)));
  EXPECT_TRUE(file->load(*file->find("bf16")).equal(matrix.to(at::kBFloat16)));
  const at::Tensor quantized = file->load(*file->find("q8_0"));
  EXPECT_EQ(quantized.sizes(), matrix.sizes());
  EXPECT_LE((quantized - matrix).abs().max().item<float>(), 0.57F / 127);  // half a step, and the scale in fp16
  EXPECT_EQ(file->find("absent"), nullptr);
  for (const GgufTensor& tensor : file->tensors()) EXPECT_EQ(tensor.offset % kGgufAlignment, 0U);
}

TEST(Gguf, LargeTensorsAreConvertedPieceByPieceAlike) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "x.gguf";
  const at::Tensor large = wave({1100, 4096});  // more than one piece
  write(path, {}, {{entry("f16", GgufType::kFloat16, large), large}, {entry("q8_0", GgufType::kQ8_0, large), large}});
  const auto file = GgufFile::open(path);
  EXPECT_TRUE(file->load(*file->find("f16")).equal(large.to(at::kHalf)));
  const auto blocks = quantize_q8_0({large.const_data_ptr<float>(), static_cast<std::size_t>(large.numel())});
  EXPECT_TRUE(file->load(*file->find("q8_0")).equal(dequantize_q8_0(blocks, large.sizes())));
}

TEST(Gguf, NumbersThatTheTypeCannotHoldAreRefusedAndNothingIsLeft) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "x.gguf";
  const at::Tensor large = at::full({32}, 70000.0, at::TensorOptions(at::kFloat));
  const at::Tensor infinite = at::full({32}, std::numeric_limits<double>::infinity(), at::TensorOptions(at::kFloat));
  EXPECT_ERROR(write(path, {}, {{entry("w", GgufType::kFloat16, large), large}}),
               "tensor w has numbers that f16 cannot hold");
  EXPECT_ERROR(write(path, {}, {{entry("w", GgufType::kQ8_0, infinite), infinite}}),
               "tensor w has numbers that q8_0 cannot hold");
  EXPECT_TRUE(fs::is_empty(folder.path()));
  write(path, {}, {{entry("w", GgufType::kBFloat16, large), large}});
}

TEST(Gguf, AFileAppearsOnlyWhenEveryTensorIsThere) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "x.gguf";
  const at::Tensor matrix = wave({2, 32});
  {
    GgufWriter writer(anywhere(path), {},
                      {entry("a", GgufType::kFloat32, matrix), entry("b", GgufType::kFloat32, matrix)});
    writer.append(matrix);
    EXPECT_ERROR(writer.commit(), "only 1 of its 2 tensors were written");
    EXPECT_ERROR(writer.append(wave({32, 2})), "was declared as");
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(Gguf, ImpossibleEntriesAreRefused) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "x.gguf";
  const auto refuse = [&](const GgufWriter::Entry& bad) {
    EXPECT_ERROR(GgufWriter(anywhere(path), {}, {bad}), " cannot be written as ") << bad.name;
  };
  refuse({"rows of no whole block", GgufType::kQ8_0, {2, 33}});
  refuse({"five dimensions", GgufType::kFloat32, {1, 1, 1, 1, 1}});
  refuse({std::string(64, 'x'), GgufType::kFloat32, {1}});
  refuse({"empty", GgufType::kFloat32, {0}});
  EXPECT_ERROR(GgufWriter(anywhere(path), {{"a", true}, {"a", true}}, {}), "occurs twice");
}

// quantize_row_q8_0_ref of ggml (ggml/src/ggml-quants.c) by hand.
TEST(Q8_0, RoundsHalvesAwayFromZeroAndKeepsZeroBlocks) {
  std::vector<float> values(64, 0.0F);
  values[0] = 127.0F;  // scale 1
  values[1] = 0.5F;
  values[2] = -0.5F;
  values[3] = 1.5F;
  values[4] = -126.4F;
  const auto blocks = quantize_q8_0(values);
  ASSERT_EQ(blocks.size(), 2 * kQ8BlockBytes);
  EXPECT_EQ(blocks[0], std::byte{0x00});
  EXPECT_EQ(blocks[1], std::byte{0x3C});  // fp16 1.0
  const auto quant = [&](std::size_t i) { return static_cast<int>(static_cast<std::int8_t>(blocks[2 + i])); };
  EXPECT_EQ(quant(0), 127);
  EXPECT_EQ(quant(1), 1);
  EXPECT_EQ(quant(2), -1);
  EXPECT_EQ(quant(3), 2);
  EXPECT_EQ(quant(4), -126);
  for (std::size_t i = kQ8BlockBytes; i < blocks.size(); ++i) EXPECT_EQ(blocks[i], std::byte{0});
}

// A file made byte by byte.
struct RawTensor {
  std::string name;
  std::vector<std::uint64_t> sizes;
  std::uint32_t type = 0;
  std::uint64_t offset = 0;
};

std::string text(const std::string& value) {
  return little_endian(value.size(), 8) + value;
}

std::string gguf_bytes(const std::string& metadata, std::uint64_t pairs, const std::vector<RawTensor>& tensors,
                       std::size_t data_bytes) {
  std::string out =
      "GGUF" + little_endian(3, 4) + little_endian(tensors.size(), 8) + little_endian(pairs, 8) + metadata;
  for (const RawTensor& tensor : tensors) {
    out += text(tensor.name) + little_endian(tensor.sizes.size(), 4);
    for (const std::uint64_t size : tensor.sizes) out += little_endian(size, 8);
    out += little_endian(tensor.type, 4) + little_endian(tensor.offset, 8);
  }
  out.resize((out.size() + 31) / 32 * 32, '\0');
  return out + std::string(data_bytes, '\1');
}

class DamagedGguf : public testing::Test {
 protected:
  std::string refused(const std::string& bytes) {
    test::put_file(path_, bytes);
    return error_of(path_);
  }
  void expect(const std::string& bytes, const std::string& part) {
    EXPECT_NE(refused(bytes).find(part), std::string::npos) << refused(bytes);
  }

  TemporaryFolder folder_;
  fs::path path_ = folder_.path() / "x.gguf";
};

TEST_F(DamagedGguf, OtherFilesAreNamed) {
  expect("", "not a GGUF file");
  expect("GGML....", "not a GGUF file");
  expect("GGUF", "ends 4 bytes too early");
  expect("GGUF" + little_endian(1, 4), "version 1");
  expect("GGUF" + little_endian(3 << 24, 4), "big-endian");
}

TEST_F(DamagedGguf, EveryTruncationIsRefused) {
  const std::string whole = gguf_bytes(text("k") + little_endian(8, 4) + text("value"), 1, {{"w", {8}, 0, 0}}, 32);
  EXPECT_EQ(refused(whole), "opened");
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_NE(refused(whole.substr(0, size)), "opened") << size;
}

TEST_F(DamagedGguf, CountsBeyondTheFileAreRefusedBeforeMemoryIsTaken) {
  const std::uint64_t huge = std::uint64_t{1} << 62;
  expect("GGUF" + little_endian(3, 4) + little_endian(huge, 8) + little_endian(0, 8), "claims 4611686018427387904");
  expect("GGUF" + little_endian(3, 4) + little_endian(0, 8) + little_endian(huge, 8), "metadata entries");
  expect(gguf_bytes(little_endian(huge, 8) + "key", 1, {}, 0), "a text of");
  expect(gguf_bytes(text("k") + little_endian(8, 4) + little_endian(huge, 8), 1, {}, 0), "a text of");
  for (const std::uint64_t type : {0, 4, 8, 12}) {
    expect(gguf_bytes(text("k") + little_endian(9, 4) + little_endian(type, 4) + little_endian(huge, 8), 1, {}, 0),
           "an array of");
  }
}

TEST_F(DamagedGguf, BadValuesAreRefused) {
  const auto with = [](const std::string& value) { return gguf_bytes(text("k") + value, 1, {}, 0); };
  expect(with(little_endian(13, 4)), "unknown type 13");
  expect(with(little_endian(7, 4) + "\2"), "neither 0 nor 1");
  expect(with(little_endian(9, 4) + little_endian(13, 4) + little_endian(0, 8)), "unknown type 13");
  expect(with(little_endian(9, 4) + little_endian(9, 4) + little_endian(1, 8)), "arrays of arrays");
  const std::string yes = text("k") + little_endian(7, 4) + "\1";
  expect(gguf_bytes(yes + yes, 2, {}, 0), "twice");
  const auto aligned = [](std::uint64_t to) {
    return gguf_bytes(text("general.alignment") + little_endian(4, 4) + little_endian(to, 4), 1, {}, 0);
  };
  expect(aligned(0), "not a power of two");
  expect(aligned(48), "not a power of two");
  expect(aligned(std::uint64_t{1} << 31), "not a power of two");
  EXPECT_EQ(refused(aligned(64)), "opened");
}

TEST_F(DamagedGguf, BadTensorsAreRefusedByName) {
  const auto with = [](const std::vector<RawTensor>& tensors) { return gguf_bytes("", 0, tensors, 64); };
  expect(with({{"w", {8}, 0, 8}}), "not a multiple of 32");
  expect(with({{"w", {17}, 0, 0}}), "needs 68 bytes");
  expect(with({{"w", {1}, 0, 96}}), "from byte 96");
  expect(with({{"w", {1}, 0, ~std::uint64_t{31}}}), "from byte");
  expect(with({{"a", {16}, 0, 0}, {"b", {8}, 0, 32}}), "overlap");
  expect(with({{"a", {8}, 0, 0}, {"a", {8}, 0, 32}}), "twice");
  expect(with({{"w", {1, 1, 1, 1, 1}, 0, 0}}), "5 dimensions");
  expect(with({{"w", {0}, 0, 0}}), "impossible shape");
  expect(with({{"w", {~std::uint64_t{0}}, 0, 0}}), "impossible shape");
  expect(with({{"w", {std::uint64_t{1} << 40, std::uint64_t{1} << 40}, 0, 0}}), "impossible shape");
  expect(with({{"w", {33}, 8, 0}}), "impossible shape");
  expect(with({{"w", {32}, 2, 0}}), "ggml's type 2");
}

}  // namespace
}  // namespace striate
