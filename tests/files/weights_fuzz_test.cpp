// Mutated files either load whole or are refused with an Error: no crash, no other exception (run under sanitizers).
#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "striate/files/gguf_reader.h"
#include "striate/files/gguf_writer.h"
#include "striate/files/weight_file.h"
#include "tests/files/weights_fixtures.h"
#include "tests/support/paths.h"
#include "tests/support/weights.h"

namespace striate {
namespace {

using test::Pickle;

// More than the default with STRIATE_FUZZ_ROUNDS.
int rounds() {
  const char* text = std::getenv("STRIATE_FUZZ_ROUNDS");
  return text != nullptr ? std::atoi(text) : 4000;
}

std::string mutated(std::string bytes, std::mt19937_64& random) {
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % std::max<std::size_t>(n, 1)); };
  const std::size_t count = 1 + below(3);
  for (std::size_t i = 0; i < count && !bytes.empty(); ++i) {
    const std::size_t at = below(bytes.size());
    switch (below(6)) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 2:  // the numbers that overflow
        for (std::size_t k = at; k < std::min(at + 1 + below(8), bytes.size()); ++k) bytes[k] = static_cast<char>(0xFF);
        break;
      case 3:
        bytes.erase(at, 1 + below(16));
        break;
      case 4:
        bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(16)));
        break;
      default:
        bytes[at] = "0123456789[]{}\",:(.}RQhqtu"[below(26)];
        break;
    }
  }
  return bytes;
}

struct Outcome {
  int opened = 0;
  int refused = 0;
};

// Touches every byte; views that repeat bytes may be astronomically large.
void touch(const at::Tensor& tensor) {
  if (tensor.numel() <= 10'000 && tensor.is_contiguous()) (void)tensor.clone();
}

void open_weights(const std::filesystem::path& path) {
  const auto file = open_weight_file(path);
  for (const TensorInfo& info : file->tensors()) touch(file->load(info.name));
}

void open_gguf(const std::filesystem::path& path) {
  const auto file = GgufFile::open(path);
  for (const GgufTensor& tensor : file->tensors()) touch(file->load(tensor));
}

Outcome fuzz(const std::string& seed_bytes, const std::string& name,
             void (*open)(const std::filesystem::path&) = open_weights) {
  const test::TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / name;
  std::mt19937_64 random(20260115);
  Outcome outcome;
  for (int round = 0; round < rounds(); ++round) {
    test::put_file(path, mutated(seed_bytes, random));
    try {
      open(path);
      ++outcome.opened;
    } catch (const Error& error) {
      EXPECT_NE(error.kind(), ErrorKind::kInternal) << error.what();
      ++outcome.refused;
    }
  }
  return outcome;
}

TEST(WeightsFuzz, MutatedSafetensorsLoadOrAreRefused) {
  const test::TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "seed.safetensors";
  write_safetensors(path, {{"model.norm.weight", at::arange(8).to(at::kBFloat16)},
                           {"mask", at::arange(3).to(at::kBool)},
                           {"lm_head.weight", at::arange(12).to(at::kFloat).reshape({3, 4})}});
  const Outcome outcome = fuzz(read_file(path), "x.safetensors");
  EXPECT_GT(outcome.opened, 0);
  EXPECT_GT(outcome.refused, 0);
}

TEST(WeightsFuzz, MutatedGgufFilesLoadOrAreRefused) {
  const test::TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "seed.gguf";
  const at::Tensor matrix = at::arange(64).to(at::kFloat).reshape({2, 32});
  GgufWriter writer(anywhere(path),
                    {{"general.architecture", std::string("llama")},
                     {"llama.block_count", std::uint32_t{2}},
                     {"tokenizer.ggml.tokens", GgufArray(std::vector<std::string>{"<s>", "a"})},
                     {"tokenizer.ggml.scores", GgufArray(std::vector<float>{0.0F, -1.0F})}},
                    {{"a", GgufType::kFloat16, {2, 32}}, {"b", GgufType::kQ8_0, {2, 32}}});
  writer.append(matrix);
  writer.append(matrix);
  writer.commit();
  const Outcome outcome = fuzz(read_file(path), "x.gguf", open_gguf);
  EXPECT_GT(outcome.opened, 0);
  EXPECT_GT(outcome.refused, 0);
}

std::string torch_seed(bool checksums) {
  const std::string floats = Pickle::storage("FloatStorage", "0", 6);
  const std::string pickle = Pickle::ordered_dict() + "(" + Pickle::text("a") +
                             Pickle::parameter(Pickle::tensor(floats, 0, {2, 3}, {3, 1})) + Pickle::text("b") +
                             Pickle::tensor(floats, 2, {2, 2}, {1, 2}) + Pickle::text("c") +
                             Pickle::tensor(Pickle::storage("BoolStorage", "1", 3), 0, {3}, {1}) + "u" +
                             Pickle::dict({{"_metadata", Pickle::ordered_dict()}}) + "b";
  std::vector<test::ZipMember> members{{.name = "x/data.pkl", .data = Pickle::whole(pickle), .no_crc = !checksums},
                                       {.name = "x/data/0", .data = test::bytes_of<float>({0, 1, 2, 3, 4, 5})},
                                       {.name = "x/data/1", .data = std::string("\x01\x00\x01", 3)}};
  return test::zip_bytes(members);
}

TEST(WeightsFuzz, MutatedTorchFilesLoadOrAreRefused) {
  const Outcome outcome = fuzz(torch_seed(true), "x.bin");
  EXPECT_GT(outcome.opened, 0);
  EXPECT_GT(outcome.refused, 0);
}

// Without a checksum the mutations reach the interpreter.
TEST(WeightsFuzz, MutatedPicklesLoadOrAreRefused) {
  const Outcome outcome = fuzz(torch_seed(false), "x.bin");
  EXPECT_GT(outcome.opened, 0);
  EXPECT_GT(outcome.refused, 0);
}

}  // namespace
}  // namespace striate
