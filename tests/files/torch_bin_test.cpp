#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "striate/files/weight_file.h"
#include "tests/files/weights_fixtures.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using test::bytes_of;
using test::expect_error;
using test::Pickle;
using test::torch_bytes;

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

class TorchBin : public testing::Test {
 protected:
  std::shared_ptr<const WeightFile> open(const std::string& bytes) const {
    test::put_file(folder_.path() / "x.bin", bytes);
    return open_torch_bin(folder_.path() / "x.bin");
  }
  void refused(ErrorKind kind, std::vector<std::string> words, const std::string& bytes) const {
    words.emplace_back("x.bin");
    expect_error(kind, words, [&] { open(bytes); });
  }
  // A file whose pickle is `pickle`, with a storage "0" of six floats.
  void refused_pickle(ErrorKind kind, const std::vector<std::string>& words, const std::string& pickle) const {
    refused(kind, words, torch_bytes(pickle, {six_floats()}));
  }
  static std::string six_floats() { return bytes_of<float>({0, 1, 2, 3, 4, 5}); }
  static std::string floats() { return Pickle::storage("FloatStorage", "0", 6); }
  // {"a": a tensor of the six floats}
  static std::string one(std::int64_t offset, const std::vector<std::int64_t>& shape,
                         const std::vector<std::int64_t>& strides) {
    return Pickle::dict({{"a", Pickle::tensor(floats(), offset, shape, strides)}});
  }

  test::TemporaryFolder folder_;
};

TEST_F(TorchBin, StridesAndOffsetsAreViewsOfTheSharedStorage) {
  const auto file = open(torch_bytes(Pickle::dict({{"whole", Pickle::tensor(floats(), 0, {2, 3}, {3, 1})},
                                                   {"turned", Pickle::tensor(floats(), 0, {3, 2}, {1, 3})},
                                                   {"tail", Pickle::tensor(floats(), 4, {2}, {1})},
                                                   {"column", Pickle::tensor(floats(), 1, {2}, {3})},
                                                   {"scalar", Pickle::tensor(floats(), 5, {}, {})},
                                                   {"spread", Pickle::tensor(floats(), 2, {4, 2}, {0, 1})},
                                                   {"empty", Pickle::tensor(floats(), 0, {0, 3}, {3, 1})}}),
                                     {six_floats()}));
  const at::Tensor whole = at::arange(6).to(at::kFloat).reshape({2, 3});
  EXPECT_TRUE(at::equal(file->load("whole"), whole));
  EXPECT_TRUE(at::equal(file->load("turned"), whole.t()));
  EXPECT_TRUE(at::equal(file->load("tail"), whole.flatten().slice(0, 4)));
  EXPECT_TRUE(at::equal(file->load("column"), whole.select(1, 1)));
  EXPECT_EQ(file->load("scalar").item<float>(), 5);
  EXPECT_EQ(file->load("spread").sum().item<float>(), 4 * (2 + 3));
  EXPECT_EQ(file->load("empty").sizes(), (at::IntArrayRef{0, 3}));
  EXPECT_EQ(file->load("whole").const_data_ptr(), file->load("turned").const_data_ptr());
}

TEST_F(TorchBin, ParametersAndOrderedDictsWithMetadataAreRead) {
  const std::string tensor = Pickle::tensor(floats(), 0, {6}, {1});
  const std::string pickle = Pickle::ordered_dict() + "(" + Pickle::text("w") + Pickle::parameter(tensor) + "u" +
                             Pickle::dict({{"_metadata", Pickle::ordered_dict()}}) + "b";
  const auto file = open(torch_bytes(pickle, {six_floats()}));
  EXPECT_EQ(file->load("w").numel(), 6);
}

TEST_F(TorchBin, StateDictBesideOtherThingsIsFound) {
  for (const char* key : {"state_dict", "model"}) {
    const auto file = open(
        torch_bytes(Pickle::dict({{"epoch", "K\x03"}, {"optimizer", "]"}, {key, one(0, {6}, {1})}}), {six_floats()}));
    EXPECT_EQ(file->load("a").numel(), 6) << key;
  }
}

TEST_F(TorchBin, NumbersBesideTensorsAreNoTensors) {
  const auto file = open(torch_bytes(
      Pickle::dict({{"step", "K\x03"}, {"a", Pickle::tensor(floats(), 0, {6}, {1})}, {"none", "N"}}), {six_floats()}));
  EXPECT_EQ(file->tensors().size(), 1u);
}

TEST_F(TorchBin, ProtocolFourIsRead) {
  const std::string pickle = "\x80\x04\x95" + test::little_endian(1, 8) + "}\x94.";
  const auto file = open(test::zip_bytes({{.name = "a/data.pkl", .data = pickle}}));
  EXPECT_TRUE(file->tensors().empty());
}

TEST_F(TorchBin, NamesOfCodeAreRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> asked = {{"os", "system"},
                                                                  {"builtins", "eval"},
                                                                  {"posix", "system"},
                                                                  {"codecs", "encode"},
                                                                  {"numpy.core.multiarray", "_reconstruct"},
                                                                  {"torch._utils", "_rebuild_sparse_tensor"}};
  for (const auto& [module, name] : asked) {
    const std::string call = Pickle::call(Pickle::global(module, name), {Pickle::text("echo gotcha")});
    const std::string message = cat("asks for ", module, '.', name);
    refused_pickle(ErrorKind::kUnsupported, {message}, call);
    refused_pickle(ErrorKind::kUnsupported, {message}, Pickle::dict({{"a", call}}));
    const std::string by_stack = Pickle::text(module) + Pickle::text(name) + "\x93";
    refused_pickle(ErrorKind::kUnsupported, {message}, Pickle::call(by_stack, {Pickle::text("x")}));
    refused_pickle(ErrorKind::kUnsupported, {message}, Pickle::tuple({call}) + "Q");
  }
}

TEST_F(TorchBin, AskedNamesCannotBreakTheMessageIntoLines) {
  refused_pickle(ErrorKind::kUnsupported, {"\\x1b"}, Pickle::global("os\x1b[31m", "system"));
}

TEST_F(TorchBin, OtherOpcodesAreRefused) {
  // OBJ, INST, NEWOBJ, EXT1, POP, DUP, STRING, PUT, NEXT_BUFFER and a byte that is none
  for (const char op : {'o', 'i', '\x81', '\x82', '0', '2', 'S', 'p', '\x97', '\xfe'}) {
    refused_pickle(ErrorKind::kUnsupported, {"opcode"}, cat("}", op));
  }
}

TEST_F(TorchBin, MalformedPicklesAreRefused) {
  const std::vector<std::string> cases = {
      "",
      "}}",                 // two values
      "t",                  // no mark
      "R",                  // nothing to call
      "}R",                 // nothing to call
      "}}R",                // calls a dictionary
      "(}",                 // open mark
      "}(Nu",               // a key without its value
      "](NNu",              // items of a list
      "}(Ne",               // appends to a dictionary
      "h\x05",              // never stored
      "X\xff\xff\xff\xff",  // longer than the file
      std::string("\x8d") + std::string(8, '\xff'),
      "X\x01\x00\x00",  // cut
      std::string("\x95") + std::string(8, '\xff') + "}",
      "\x8a\x09" + std::string(9, '\x01'),  // beyond 64 bits
      "ccollections",                       // a line without its end
      "Q",
      "NQ",
      ")Q",
      "}Nb",
      "N}b",
      "X" + test::little_endian(2, 4) + "\xff\xfe",
      std::string(2000, '('),
      Pickle::call(Pickle::global("torch", "FloatStorage"), {"K\x01"}),
      Pickle::call(Pickle::global("torch", "float32"), {}),
      Pickle::call(Pickle::global("collections", "OrderedDict"), {"]"}),
      Pickle::call(Pickle::global("torch._utils", "_rebuild_tensor_v2"), {}),
      Pickle::call(Pickle::global("torch._utils", "_rebuild_tensor_v2"), {"N", "N", "N", "N", "N", "N"}),
      Pickle::call(Pickle::global("torch._utils", "_rebuild_parameter"), {"N", "\x88", "N"}),
      Pickle::tuple({Pickle::text("storage"), Pickle::global("torch", "float32"), Pickle::text("0"),
                     Pickle::text("cpu"), "K\x06"}) +
          "Q",
      Pickle::tuple({Pickle::text("module"), Pickle::global("torch", "FloatStorage"), Pickle::text("0"),
                     Pickle::text("cpu"), "K\x06"}) +
          "Q",
  };
  for (const std::string& pickle : cases) refused_pickle(ErrorKind::kCorruptData, {"its pickle"}, pickle);
}

TEST_F(TorchBin, ChainOfRebuildsCannotRecurse) {
  const std::string chain = Pickle::call(
      Pickle::global("torch._tensor", "_rebuild_from_type_v2"),
      {Pickle::global("torch._tensor", "_rebuild_from_type_v2"), Pickle::global("torch", "Tensor"), ")", "N"});
  refused_pickle(ErrorKind::kCorruptData, {"calls itself"}, chain);
}

TEST_F(TorchBin, ContainerThatHoldsItselfIsHarmless) {
  // A list that is its own element; the dictionary that is its own value.
  refused_pickle(ErrorKind::kUnsupported, {"holds a list"},
                 "]q" + std::string(1, '\0') + "h" + std::string(1, '\0') + "a");
  refused_pickle(ErrorKind::kUnsupported, {"\"model\"", "a dictionary"},
                 "}q" + std::string(1, '\0') + Pickle::text("model") + "h" + std::string(1, '\0') + "s");
}

TEST_F(TorchBin, ValuesAreCapped) {
  refused_pickle(ErrorKind::kUnsupported, {"4000000 values"}, "](" + std::string(4'100'000, 'N') + "e");
}

TEST_F(TorchBin, OneLargeTupleUsedOftenIsRefused) {
  const std::string sizes = Pickle::integers(std::vector<std::int64_t>(100, 1));
  refused_pickle(
      ErrorKind::kCorruptData, {"100 numbers"},
      Pickle::call(Pickle::global("torch._utils", "_rebuild_tensor"), {floats(), Pickle::integer(0), sizes, sizes}));
}

TEST_F(TorchBin, WhatIsNoStateDictIsRefused) {
  refused_pickle(ErrorKind::kUnsupported, {"holds a tensor"}, Pickle::tensor(floats(), 0, {6}, {1}));
  refused_pickle(ErrorKind::kUnsupported, {"holds a list"}, "]");
  refused_pickle(ErrorKind::kUnsupported, {"\"layers\"", "a dictionary"}, Pickle::dict({{"layers", one(0, {6}, {1})}}));
  refused_pickle(ErrorKind::kUnsupported, {"key", "a number"}, "}K\x01" + Pickle::tensor(floats(), 0, {6}, {1}) + "s");
}

TEST_F(TorchBin, DuplicateNamesAreRefused) {
  const std::string tensor = Pickle::tensor(floats(), 0, {6}, {1});
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "twice"}, Pickle::dict({{"a", tensor}, {"a", tensor}}));
}

TEST_F(TorchBin, TensorsOutsideTheirStorageAreRefused) {
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "outside"}, one(0, {7}, {1}));
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "outside"}, one(1, {6}, {1}));
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "outside"}, one(7, {1}, {1}));
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "outside"}, one(-1, {1}, {1}));
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "outside"}, one(kHuge, {1}, {1}));
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "outside"}, one(0, {2, 2}, {5, 1}));
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "overflow"}, one(0, {2}, {kHuge}));
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "overflow"}, one(0, {kHuge, kHuge}, {0, 0}));
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "negative"}, one(0, {-2}, {1}));
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "negative"}, one(5, {2}, {-1}));
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "ranks"}, one(0, {2, 2}, {1}));
}

TEST_F(TorchBin, StoragesThatAreNotWholeAreRefused) {
  const auto stored = [](std::string_view type, std::string_view key, std::int64_t size) {
    return Pickle::dict({{"a", Pickle::tensor(Pickle::storage(type, key, size), 0, {1}, {1})}});
  };
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "7 elements", "24 bytes"}, stored("FloatStorage", "0", 7));
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "24 bytes"}, stored("DoubleStorage", "0", 6));
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "24 bytes"}, stored("FloatStorage", "0", -1));
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "24 bytes"}, stored("FloatStorage", "0", kHuge));
  refused_pickle(ErrorKind::kCorruptData, {"\"a\"", "storage \"1\" is not in the file"},
                 stored("FloatStorage", "1", 6));
  refused_pickle(ErrorKind::kCorruptData, {"untyped"}, stored("UntypedStorage", "0", 24));
}

TEST_F(TorchBin, BigEndianFilesAreRefused) {
  refused(ErrorKind::kUnsupported, {"big-endian"}, torch_bytes(one(0, {6}, {1}), {six_floats()}, "big"));
}

TEST_F(TorchBin, OldFormatHintsHowToSaveAgain) {
  test::put_file(folder_.path() / "x.bin",
                 std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03."));
  try {
    open_torch_bin(folder_.path() / "x.bin");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    EXPECT_THAT(error.hint(), testing::HasSubstr("torch.save(torch.load("));
  }
}

TEST_F(TorchBin, EveryTruncationIsRefused) {
  const std::string whole = torch_bytes(one(0, {6}, {1}), {six_floats()});
  for (std::size_t size = 0; size < whole.size(); ++size) refused(ErrorKind::kCorruptData, {}, whole.substr(0, size));
}

TEST_F(TorchBin, DamagedPickleIsFoundByItsChecksum) {
  std::string bytes = torch_bytes(one(0, {6}, {1}), {six_floats()});
  bytes[bytes.find("_rebuild_tensor_v2")] ^= 1;
  refused(ErrorKind::kCorruptData, {"checksum"}, bytes);
}

TEST_F(TorchBin, ChecksumOfZeroMeansNone) {
  const auto file = open(test::zip_bytes({{.name = "a/data.pkl", .data = Pickle::whole("}"), .no_crc = true}}));
  EXPECT_TRUE(file->tensors().empty());
}

TEST_F(TorchBin, OtherZipFilesAreRefused) {
  const std::string pickle = Pickle::whole("}");
  refused(ErrorKind::kCorruptData, {"not one that torch.save wrote"}, test::zip_bytes({}));
  refused(ErrorKind::kCorruptData, {"not one that torch.save wrote"},
          test::zip_bytes({{.name = "readme.txt", .data = "x"}}));
  refused(ErrorKind::kCorruptData, {"2 entries"},
          test::zip_bytes({{.name = "a/data.pkl", .data = pickle}, {.name = "b/data.pkl", .data = pickle}}));
  refused(ErrorKind::kCorruptData, {"twice"},
          test::zip_bytes({{.name = "a/data.pkl", .data = pickle}, {.name = "a/data.pkl", .data = pickle}}));
  refused(ErrorKind::kUnsupported, {"compressed"},
          test::zip_bytes({{.name = "a/data.pkl", .data = pickle, .method = 8}}));
  refused(ErrorKind::kUnsupported, {"encrypted"},
          test::zip_bytes({{.name = "a/data.pkl", .data = pickle, .flags = 1}}));
  refused(ErrorKind::kUnsupported, {"TorchScript"},
          test::zip_bytes({{.name = "a/data.pkl", .data = pickle}, {.name = "a/constants.pkl", .data = pickle}}));
}

}  // namespace
}  // namespace striate
