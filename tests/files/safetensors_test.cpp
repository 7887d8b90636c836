#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>

#include "striate/files/weight_file.h"
#include "tests/files/weights_fixtures.h"
#include "tests/support/paths.h"
#include "tests/support/weights.h"

namespace striate {
namespace {

using test::expect_error;
using test::little_endian;
using test::safetensors_bytes;
using testing::ElementsAre;

class Safetensors : public testing::Test {
 protected:
  std::filesystem::path path_of(const std::string& name) const { return folder_.path() / name; }

  // Writes the bytes and opens them.
  std::shared_ptr<const WeightFile> open(const std::string& bytes) const {
    test::put_file(path_of("x.safetensors"), bytes);
    return open_safetensors(path_of("x.safetensors"));
  }

  // Every refusal names the file.
  void refused(const std::vector<std::string>& words, const std::string& header, const std::string& data) const {
    refused_bytes(words, safetensors_bytes(header, data));
  }
  void refused_bytes(std::vector<std::string> words, const std::string& bytes) const {
    words.emplace_back("x.safetensors");
    expect_error(ErrorKind::kCorruptData, words, [&] { open(bytes); });
  }

  test::TemporaryFolder folder_;
};

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return cat('"', name, R"(":{"dtype":")", dtype, R"(","shape":)", shape, R"(,"data_offsets":)", offsets, '}');
}

TEST_F(Safetensors, EveryDtypeComesBackAsItWasWritten) {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const at::ScalarType dtype :
       {at::kBool, at::kByte, at::kChar, at::kShort, at::kInt, at::kLong, at::kHalf, at::kBFloat16, at::kFloat,
        at::kDouble, at::kFloat8_e4m3fn, at::kFloat8_e5m2, at::kUInt16, at::kUInt32, at::kUInt64}) {
    // An odd count of odd sizes: later tensors begin at unaligned offsets.
    tensors.emplace_back(c10::toString(dtype), at::arange(15).reshape({3, 5}).to(dtype));
  }
  tensors.emplace_back("scalar", at::arange(1).squeeze());
  tensors.emplace_back("empty", at::empty({4, 0, 3}));
  write_safetensors(path_of("all.safetensors"), tensors);
  const auto file = open_weight_file(path_of("all.safetensors"));
  ASSERT_EQ(file->tensors().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const TensorInfo* info = file->find(name);
    ASSERT_NE(info, nullptr) << name;
    EXPECT_EQ(info->dtype, tensor.scalar_type());
    EXPECT_EQ(at::IntArrayRef(info->shape), tensor.sizes());
    EXPECT_EQ(info->bytes, tensor.nbytes());
    const at::Tensor loaded = file->load(name);
    ASSERT_EQ(loaded.sizes(), tensor.sizes());
    ASSERT_EQ(loaded.scalar_type(), tensor.scalar_type());
    if (tensor.numel() == 0) continue;
    EXPECT_EQ(std::memcmp(loaded.const_data_ptr(), tensor.const_data_ptr(), tensor.nbytes()), 0) << name;
    EXPECT_EQ(
        reinterpret_cast<std::uintptr_t>(loaded.const_data_ptr()) % std::max<std::size_t>(loaded.element_size(), 1), 0u)
        << name;
  }
}

TEST_F(Safetensors, TensorsAreListedByNameAndFound) {
  write_safetensors(path_of("t.safetensors"), {{"b", at::arange(2)}, {"a", at::arange(3)}, {"c", at::arange(1)}});
  const auto file = open_safetensors(path_of("t.safetensors"));
  std::vector<std::string> names;
  for (const TensorInfo& info : file->tensors()) names.push_back(info.name);
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
  EXPECT_EQ(file->find("d"), nullptr);
  EXPECT_EQ(file->find("a")->file, path_of("t.safetensors"));
}

TEST_F(Safetensors, LoadedTensorIsAViewThatOutlivesTheFileObject) {
  write_safetensors(path_of("t.safetensors"), {{"a", at::arange(1000)}});
  auto file = open_safetensors(path_of("t.safetensors"));
  const at::Tensor first = file->load("a");
  EXPECT_EQ(first.const_data_ptr(), file->load("a").const_data_ptr());
  file.reset();
  EXPECT_TRUE(at::equal(first, at::arange(1000)));
}

TEST_F(Safetensors, UnknownNameHintsAtTheNearest) {
  write_safetensors(path_of("t.safetensors"), {{"model.norm.weight", at::arange(3)}});
  const auto file = open_safetensors(path_of("t.safetensors"));
  try {
    file->load("model.norm.wieght");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidInput);
    EXPECT_THAT(error.hint(), testing::HasSubstr("model.norm.weight"));
  }
}

TEST_F(Safetensors, FieldsItDoesNotKnowAreSkipped) {
  const auto file = open(safetensors_bytes(
      R"({"__metadata__":{"format":"pt"},"a":{"later":{"x":[1,{"y":null}]},"dtype":"U8","shape":[2],"data_offsets":[0,2],"z":-1.5}})",
      "ab"));
  EXPECT_EQ(file->load("a").numel(), 2);
}

TEST_F(Safetensors, AbsentFileIsRefused) {
  expect_error(ErrorKind::kInvalidInput, {"none.safetensors"}, [&] { open_safetensors(path_of("none.safetensors")); });
}

TEST_F(Safetensors, EmptyFileIsRefused) {
  refused_bytes({"too short"}, "");
}

TEST_F(Safetensors, TruncatedDataIsRefused) {
  refused({"\"a\"", "ends at byte 8", "only 5 bytes"}, "{" + entry("a", "F32", "[2]", "[0,8]") + "}", "12345");
}

TEST_F(Safetensors, TruncatedHeaderIsRefused) {
  refused_bytes({"header", "1000"}, little_endian(1000, 8) + "{\"a\":");
}

TEST_F(Safetensors, HeaderOverTheCapIsRefusedBeforeItIsRead) {
  refused_bytes({"100 MB"}, little_endian(100'000'001, 8) + "{");
  refused_bytes({"100 MB"}, little_endian(~std::uint64_t{0}, 8) + "{");
}

TEST_F(Safetensors, OverlappingTensorsAreRefused) {
  refused({"\"b\"", "overlaps"}, "{" + entry("a", "U8", "[4]", "[0,4]") + "," + entry("b", "U8", "[4]", "[2,6]") + "}",
          "123456");
}

TEST_F(Safetensors, TwoNamesForTheSameBytesAreRefused) {
  refused({"overlaps"}, "{" + entry("a", "U8", "[4]", "[0,4]") + "," + entry("b", "U8", "[4]", "[0,4]") + "}", "1234");
}

TEST_F(Safetensors, HolesAreRefused) {
  refused({"gap of 2", "\"b\""}, "{" + entry("a", "U8", "[2]", "[0,2]") + "," + entry("b", "U8", "[2]", "[4,6]") + "}",
          "123456");
  refused({"gap of 1", "\"a\""}, "{" + entry("a", "U8", "[2]", "[1,3]") + "}", "123");
}

TEST_F(Safetensors, BytesAfterTheLastTensorAreRefused) {
  refused({"3 bytes at its end"}, "{" + entry("a", "U8", "[2]", "[0,2]") + "}", "12345");
}

TEST_F(Safetensors, OffsetsOutOfRangeAreRefused) {
  refused({"\"a\"", "only 2 bytes"}, "{" + entry("a", "U8", "[2]", "[18446744073709551613,18446744073709551615]") + "}",
          "12");
  refused({"\"a\"", "before it begins"}, "{" + entry("a", "U8", "[2]", "[2,0]") + "}", "12");
  refused({"\"a\"", "negative"}, "{" + entry("a", "U8", "[2]", "[-2,0]") + "}", "12");
  refused({"\"a\"", "two numbers"}, "{" + entry("a", "U8", "[2]", "[0,2,2]") + "}", "12");
  refused({"\"a\"", "two numbers"}, "{" + entry("a", "U8", "[2]", "[0]") + "}", "12");
}

TEST_F(Safetensors, OverflowingShapesAreRefused) {
  refused({"\"a\"", "overflows"}, "{" + entry("a", "F32", "[4294967296,4294967296]", "[0,0]") + "}", "");
  refused({"\"a\"", "overflows"}, "{" + entry("a", "F32", "[0,9223372036854775807,9223372036854775807]", "[0,0]") + "}",
          "");
  refused({"\"a\"", "overflows"}, "{" + entry("a", "U8", "[18446744073709551615]", "[0,1]") + "}", "1");
  refused({"\"a\"", "64-bit integer"}, "{" + entry("a", "U8", "[36893488147419103232]", "[0,1]") + "}", "1");
  std::string ones = "1";
  for (int i = 0; i < 64; ++i) ones += ",1";
  refused({"\"a\"", "overflows"}, "{" + entry("a", "U8", "[" + ones + "]", "[0,1]") + "}", "1");
}

TEST_F(Safetensors, ShapeThatIsNotTheByteCountIsRefused) {
  refused({"\"a\"", "[3, 2] of F16 needs 12 bytes", "give it 8"}, "{" + entry("a", "F16", "[3,2]", "[0,8]") + "}",
          "12345678");
  refused({"\"a\"", "negative"}, "{" + entry("a", "F16", "[-1]", "[0,8]") + "}", "12345678");
  refused({"\"a\"", "shape", "string"}, "{" + entry("a", "F16", "[\"4\"]", "[0,8]") + "}", "12345678");
}

TEST_F(Safetensors, UnknownDtypeIsRefused) {
  refused({"\"a\"", "dtype \"F5\""}, "{" + entry("a", "F5", "[2]", "[0,2]") + "}", "12");
  refused({"\"a\"", "dtype holds a number"}, R"({"a":{"dtype":5,"shape":[],"data_offsets":[0,1]}})", "1");
}

TEST_F(Safetensors, LackingFieldIsRefused) {
  refused({"\"a\"", "lacks"}, R"({"a":{"dtype":"U8","shape":[1]}})", "1");
  refused({"\"a\"", "lacks"}, R"({"a":{}})", "");
}

TEST_F(Safetensors, DuplicateNamesAreRefused) {
  refused({"\"a\"", "twice"}, "{" + entry("a", "U8", "[1]", "[0,1]") + "," + entry("a", "U8", "[1]", "[1,2]") + "}",
          "12");
  refused({"\"a\"", "shape is given twice"}, R"({"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}})",
          "1");
  refused({"__metadata__ twice"}, R"({"__metadata__":{},"__metadata__":{}})", "");
}

TEST_F(Safetensors, BrokenJsonIsRefused) {
  refused({"not valid JSON"}, R"({"a":)", "");
  refused({"not a JSON object"}, "[]", "");
  refused({"not a JSON object"}, "", "");
  refused({"not valid JSON"}, "{} {}", "");
  refused({"not valid JSON"}, "{\"\xff\":{}}", "");
  refused({"a number where an object"}, R"({"a":1})", "");
  refused({"a number where a metadata string"}, R"({"__metadata__":{"a":1}})", "");
  refused({"an array where an object"}, R"({"a":[]})", "");
  refused({"not valid JSON"}, R"({"a":{"later":)" + std::string(1'000'000, '['), "");
  refused({"a", "an array"}, "{\"a\":" + std::string(1'000'000, '[') + "}", "");
}

TEST_F(Safetensors, NamesCannotBreakTheMessageIntoLines) {
  refused({"\\x0a"}, "{" + entry("a\\nb", "U8", "[1]", "[0,2]") + "}", "12");
}

TEST_F(Safetensors, BooleansOtherThanZeroAndOneAreRefused) {
  const auto file = open(safetensors_bytes("{" + entry("a", "BOOL", "[2]", "[0,2]") + "}", std::string("\x01\x02")));
  expect_error(ErrorKind::kCorruptData, {"\"a\"", "boolean"}, [&] { file->load("a"); });
}

TEST_F(Safetensors, GitLfsPointerIsNamedAsOne) {
  refused_bytes({"Git LFS pointer"}, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n");
}

TEST_F(Safetensors, AMillionTinyTensorsOpen) {
  constexpr int kCount = 1'000'000;
  std::string header = "{";
  for (int i = 0; i < kCount; ++i)
    header += cat(i > 0 ? "," : "", entry(cat('t', i), "U8", "[1]", cat('[', i, ',', i + 1, ']')));
  header += '}';
  ASSERT_LE(header.size(), 100'000'000u);
  std::string data(kCount, '\0');
  data[777'777] = 42;
  const auto file = open(safetensors_bytes(header, data));
  EXPECT_EQ(file->tensors().size(), static_cast<std::size_t>(kCount));
  EXPECT_EQ(file->load("t777777").item<int>(), 42);
  expect_error(ErrorKind::kInvalidInput, {"t1000000"}, [&] { file->load("t1000000"); });
}

TEST_F(Safetensors, OpeningReadsNoTensorData) {
  // A terabyte that is not there: reading it would take minutes, mapping it takes nothing.
  const std::string header = "{" + entry("a", "U8", "[1099511627776]", "[0,1099511627776]") + "}";
  test::put_file(path_of("huge.safetensors"), safetensors_bytes(header, ""));
  std::filesystem::resize_file(path_of("huge.safetensors"), 8 + header.size() + 1099511627776);
  const auto file = open_safetensors(path_of("huge.safetensors"));
  const at::Tensor tensor = file->load("a");
  EXPECT_EQ(tensor.numel(), 1099511627776);
  EXPECT_EQ(tensor[1099511627775].item<int>(), 0);
}

TEST_F(Safetensors, WriterMakesContiguousWhatIsNot) {
  const at::Tensor transposed = at::arange(12).reshape({3, 4}).t();
  write_safetensors(path_of("t.safetensors"), {{"a", transposed}});
  EXPECT_TRUE(at::equal(open_safetensors(path_of("t.safetensors"))->load("a"), transposed));
}

TEST_F(Safetensors, WriterPadsTheHeaderToEightBytes) {
  for (const char* name : {"a", "ab", "abc", "abcd", "abcde"}) {
    write_safetensors(path_of("t.safetensors"), {{name, at::arange(2)}});
    EXPECT_EQ((read_file(path_of("t.safetensors")).size() - 16) % 8, 0u);
  }
}

TEST_F(Safetensors, WriterEscapesNames) {
  const std::string name = "a \"b\" \\ \n \xC3\xA9";
  write_safetensors(path_of("t.safetensors"), {{name, at::arange(2)}});
  EXPECT_NE(open_safetensors(path_of("t.safetensors"))->find(name), nullptr);
}

// Errors of the program, not of the user: they need no hint.
template <typename Action>
void expect_internal(Action action) {
  try {
    action();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal) << error.what();
  }
}

TEST_F(Safetensors, WriterRefusesWhatWasNotDeclared) {
  const std::filesystem::path path = path_of("t.safetensors");
  const std::vector<SafetensorsWriter::Entry> entries{{"a", at::kFloat, {2}}, {"b", at::kLong, {3}}};
  SafetensorsWriter writer(anywhere(path), entries);
  expect_internal([&] { writer.append(at::arange(3)); });
  expect_internal([&] { writer.append(at::arange(3).to(at::kFloat)); });
  expect_internal([&] { writer.append(at::Tensor()); });
  writer.append(at::arange(2).to(at::kFloat));
  expect_internal([&] { writer.commit(); });
  writer.append(at::arange(3));
  expect_internal([&] { writer.append(at::arange(3)); });
  EXPECT_FALSE(std::filesystem::exists(path));
  writer.commit();
  EXPECT_EQ(open_safetensors(path)->tensors().size(), 2u);
  expect_internal([&] { SafetensorsWriter(anywhere(path), {{"a", at::kFloat, {2}}, {"a", at::kFloat, {2}}}); });
  expect_internal([&] { SafetensorsWriter(anywhere(path), {{"__metadata__", at::kFloat, {2}}}); });
  expect_internal([&] { SafetensorsWriter(anywhere(path), {{"a", at::kComplexFloat, {2}}}); });
  expect_internal([&] { SafetensorsWriter(anywhere(path), {{"a\xff", at::kFloat, {2}}}); });
}

TEST_F(Safetensors, AbandonedWriterLeavesNothing) {
  { SafetensorsWriter writer(anywhere(path_of("t.safetensors")), {{"a", at::kFloat, {2}}}); }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(Safetensors, FullDiskLeavesNothing) {
  // A limit on file sizes stands for a full disk: the write fails in the same place.
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 10'000;
  auto* handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  expect_error(ErrorKind::kResource, {"t.safetensors"}, [&] {
    write_safetensors(path_of("t.safetensors"), {{"a", at::arange(100'000)}});
  });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(Safetensors, GoldenFilesOpen) {
  int files = 0;
  for (const auto& item : std::filesystem::recursive_directory_iterator(test::goldens())) {
    if (item.path().extension() != ".safetensors") continue;
    const auto file = open_safetensors(item.path());
    for (const TensorInfo& info : file->tensors()) EXPECT_EQ(file->load(info.name).nbytes(), info.bytes);
    ++files;
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace striate
