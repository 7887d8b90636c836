// Damaged and foreign tokenizer files: each is refused with a line and a hint, whatever is in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <functional>
#include <random>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/text/tokenizer.h"
#include "tests/support/paths.h"
#include "tests/text/reference_tokenizers.h"
#include "tests/text/tiny_tokenizers.h"

namespace striate {
namespace {

using nlohmann::json;
using test::TemporaryFolder;
using testing::HasSubstr;

// What loading `path` is refused with; nullopt when it loads.
std::optional<Error> refusal(const std::filesystem::path& path) {
  try {
    load_tokenizer(path);
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

std::optional<Error> refusal_of(const std::string& bytes, const std::string& name) {
  const TemporaryFolder folder;
  write_file(folder.path() / name, bytes);
  return refusal(folder.path() / name);
}

void expect_refusal(const std::optional<Error>& error, ErrorKind kind, const std::string& says) {
  ASSERT_TRUE(error.has_value()) << "loaded; should say: " << says;
  EXPECT_EQ(error->kind(), kind) << error->what();
  EXPECT_THAT(error->what(), HasSubstr(says));
  EXPECT_EQ(std::string(error->what()).find('\n'), std::string::npos);
  EXPECT_EQ(error->exit_code(), 2);
}

// A tiny tokenizer.json with one thing changed.
void expect_json_refused(const std::function<void(json&)>& change, ErrorKind kind, const std::string& says) {
  json document = test::tiny_tokenizer_json();
  change(document);
  SCOPED_TRACE(says);
  expect_refusal(refusal_of(document.dump(), "tokenizer.json"), kind, says);
}

TEST(BadTokenizer, AbsentFilesAndFoldersAreNamed) {
  const TemporaryFolder folder;
  expect_refusal(refusal(folder.path() / "nowhere"), ErrorKind::kInvalidInput, "nowhere: no such file or folder");
  expect_refusal(refusal(folder.path()), ErrorKind::kInvalidInput, "no tokenizer.json and no tokenizer.model");
  std::filesystem::create_directory(folder.path() / "tokenizer.json");
  expect_refusal(refusal(folder.path()), ErrorKind::kInvalidInput, "not a regular file");
}

TEST(BadTokenizer, TheTinyFileItselfLoads) {
  EXPECT_FALSE(refusal_of(test::tiny_tokenizer_json().dump(), "tokenizer.json").has_value());
  EXPECT_FALSE(refusal_of(test::tiny_sentencepiece(), "tokenizer.model").has_value());
}

TEST(BadTokenizer, WrongTypesAreCorruptDataAndSayWhere) {
  const auto corrupt = [](const std::function<void(json&)>& change, const std::string& says) {
    expect_json_refused(change, ErrorKind::kCorruptData, says);
  };
  corrupt([](json& d) { d.erase("model"); }, "no 'model'");
  corrupt([](json& d) { d["model"] = 7; }, "no 'model'");
  corrupt([](json& d) { d["model"]["vocab"] = json::array(); }, "'vocab' is array");
  corrupt([](json& d) { d["model"]["vocab"]["a"] = "x"; }, "vocab['a']: not a token id");
  corrupt([](json& d) { d["model"]["vocab"]["a"] = -1; }, "not a token id");
  corrupt([](json& d) { d["model"]["vocab"]["a"] = 1.5; }, "not a token id");
  corrupt([](json& d) { d["model"]["vocab"]["a"] = std::uint64_t{1} << 63; }, "not a token id");
  corrupt([](json& d) { d["model"]["vocab"]["a"] = 2000000000; }, "not a token id");
  corrupt([](json& d) { d["model"]["vocab"]["a"] = d["model"]["vocab"]["b"]; }, "share id");
  corrupt([](json& d) { d["model"]["merges"] = "a b"; }, "'merges' is string");
  corrupt([](json& d) { d["model"]["merges"].push_back("a zz"); }, "'zz' is not in the vocabulary");
  corrupt([](json& d) { d["model"]["merges"].push_back("b a"); }, "'ba' is not in the vocabulary");
  corrupt([](json& d) { d["model"]["merges"].push_back("a b c"); }, "not a pair of tokens");
  corrupt([](json& d) { d["model"]["merges"].push_back(json::array({"a", 1})); }, "not a pair of tokens");
  corrupt([](json& d) { d["model"]["unk_token"] = "nothing"; }, "unk_token 'nothing'");
  corrupt([](json& d) { d["model"]["fuse_unk"] = "yes"; }, "'fuse_unk' is string");
  corrupt([](json& d) { d["added_tokens"] = json::object(); }, "'added_tokens' is object");
  corrupt([](json& d) { d["added_tokens"].push_back(3); }, "is number, not an object");
  corrupt([](json& d) { d["added_tokens"][0]["content"] = nullptr; }, "'content' is null");
  corrupt([](json& d) { d["added_tokens"][0]["special"] = 1; }, "'special' is number");
  corrupt([](json& d) { d["added_tokens"][0]["id"] = 40; }, "its position makes it");
  corrupt([](json& d) { std::swap(d["added_tokens"][0]["id"], d["added_tokens"][1]["id"]); }, "its position makes it");
  corrupt([](json& d) { d["normalizer"] = "NFC"; }, "is string, not an object");
  corrupt([](json& d) { d["normalizer"] = {{"type", 3}}; }, "'type' is number");
  corrupt([](json& d) { d["pre_tokenizer"] = {{"type", "Split"}, {"behavior", "Isolated"}}; }, "pattern");
  corrupt([](json& d) { d["post_processor"] = {{"type", "TemplateProcessing"}, {"single", 1}}; }, "'single' is number");
  for (const char* stage : {"pre_tokenizer", "decoder"}) {
    corrupt(
        [&](json& d) {
          d[stage] = {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "first"}};
          d[stage]["add_prefix_space"] = false;
        },
        cat(stage, ": 'add_prefix_space' is false, but 'prepend_scheme' is 'first'"));
  }
}

json replace_rule(const std::string& pattern, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", {{"String", pattern}}}, {"content", content}};
}

TEST(BadTokenizer, RulesThatLetATextGrowWithoutBoundAreRefused) {
  const std::string grows = "longer than 64 times its length";
  const auto refused = [&](const std::function<void(json&)>& change) {
    expect_json_refused(change, ErrorKind::kUnsupported, grows);
  };
  refused([](json& d) {  // doubled forty times
    d["normalizer"] = {{"type", "Sequence"}, {"normalizers", json::array()}};
    for (int i = 0; i < 40; ++i) d["normalizer"]["normalizers"].push_back(replace_rule("a", "aa"));
  });
  refused([](json& d) { d["normalizer"] = replace_rule(" ", std::string(1'000'000, ' ')); });
  refused([](json& d) { d["normalizer"] = {{"type", "Prepend"}, {"prepend", std::string(1'000'000, 'a')}}; });
  refused([](json& d) {
    const json step = {{"type", "Metaspace"}, {"replacement", "    "}, {"prepend_scheme", "never"}};
    d["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", json::array({step, step, step, step})}};
  });
  refused([](json& d) {  // each within the bound, both together beyond it
    d["normalizer"] = replace_rule(" ", std::string(10, ' '));
    d["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", std::string(10, ' ')}, {"prepend_scheme", "never"}};
  });
  refused([](json& d) {
    d["decoder"] = {{"type", "Sequence"}, {"decoders", json::array()}};
    for (int i = 0; i < 40; ++i) d["decoder"]["decoders"].push_back(replace_rule("a", "aa"));
  });
  expect_json_refused(
      [](json& d) {
        d["normalizer"] = {{"type", "Sequence"}, {"normalizers", json::array()}};
        for (int i = 0; i < 1000; ++i) d["normalizer"]["normalizers"].push_back(replace_rule("a", "b"));
      },
      ErrorKind::kUnsupported, "more than 64 steps");
}

TEST(BadTokenizer, TheRulesOfPublishedTokenizersStayWithinTheBound) {
  json document = test::tiny_tokenizer_json();
  document["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers", json::array({{{"type", "Prepend"}, {"prepend", "\u2581"}}, replace_rule(" ", "\u2581")})}};
  EXPECT_FALSE(refusal_of(document.dump(), "tokenizer.json").has_value());
}

TEST(BadTokenizer, AddedTokensOfManyMegabytesAreRefused) {
  expect_json_refused(
      [](json& d) {
        json token = d["added_tokens"].back();
        token["id"] = token["id"].get<int>() + 1;
        token["content"] = std::string(5'000'000, 'x');
        d["added_tokens"].push_back(token);
      },
      ErrorKind::kCorruptData, "added tokens of 5");
}

TEST(BadTokenizer, ComponentsStriateDoesNotHaveAreNamed) {
  const auto refused = [](const std::function<void(json&)>& change, const std::string& says) {
    expect_json_refused(change, ErrorKind::kUnsupported, says);
  };
  refused([](json& d) { d["model"]["type"] = "Unigram"; }, "model 'Unigram'");
  refused([](json& d) { d["model"]["type"] = "WordPiece"; }, "model 'WordPiece'");
  refused([](json& d) { d["model"]["dropout"] = 0.1; }, "dropout");
  refused([](json& d) { d["model"]["end_of_word_suffix"] = "</w>"; }, "'end_of_word_suffix'");
  refused([](json& d) { d["normalizer"] = {{"type", "NFKC"}}; }, "normalizer 'NFKC'");
  refused(
      [](json& d) { d["normalizer"] = json::parse(R"({"type": "Sequence", "normalizers": [{"type": "Lowercase"}]})"); },
      "normalizers[0]: normalizer 'Lowercase'");
  refused([](json& d) { d["pre_tokenizer"] = {{"type", "BertPreTokenizer"}}; }, "pre-tokenizer 'BertPreTokenizer'");
  refused(
      [](json& d) {
        d["pre_tokenizer"] = json::parse(R"({"type": "Split", "pattern": {"Regex": "(("}, "behavior": "Isolated"})");
      },
      "pattern '(('");
  refused(
      [](json& d) {
        d["pre_tokenizer"] = json::parse(R"({"type": "Split", "pattern": {"String": "x"}, "behavior": "Sideways"})");
      },
      "'Sideways'");
  refused([](json& d) { d["decoder"] = {{"type", "WordPiece"}}; }, "decoder 'WordPiece'");
  refused([](json& d) { d["post_processor"] = {{"type", "BertProcessing"}}; }, "post-processor 'BertProcessing'");
}

TEST(BadTokenizer, DeepNestingIsRefusedNotFollowed) {
  json inner = {{"type", "Prepend"}, {"prepend", "x"}};
  for (int i = 0; i < 24; ++i) inner = {{"type", "Sequence"}, {"normalizers", json::array({inner})}};
  expect_json_refused([&](json& d) { d["normalizer"] = inner; }, ErrorKind::kUnsupported, "nesting");
  expect_refusal(refusal_of("{\"a\": " + std::string(100000, '['), "tokenizer.json"), ErrorKind::kCorruptData,
                 "more than 64 deep");
}

TEST(BadTokenizer, SettingsBesideTheFileMustAgreeWithIt) {
  const auto with = [](const char* name, const char* text) {
    const TemporaryFolder folder;
    write_file(folder.path() / "tokenizer.json", test::tiny_tokenizer_json().dump());
    write_file(folder.path() / name, text);
    return refusal(folder.path());
  };
  expect_refusal(with("tokenizer_config.json", "{"), ErrorKind::kCorruptData,
                 "tokenizer_config.json:1:2: not valid JSON");
  expect_refusal(with("tokenizer_config.json", "[]"), ErrorKind::kCorruptData, "not an object");
  expect_refusal(with("tokenizer_config.json", R"({"legacy": "no"})"), ErrorKind::kCorruptData, "'legacy' is string");
  expect_refusal(with("tokenizer_config.json", R"({"bos_token": 5})"), ErrorKind::kCorruptData,
                 "'bos_token' is number");
  expect_refusal(with("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "y"}}})"),
                 ErrorKind::kCorruptData, "not a token id");
  expect_refusal(with("tokenizer_config.json", R"({"added_tokens_decoder": {"0": {"content": "<e>"}}})"),
                 ErrorKind::kCorruptData, "'<e>' has id");
  expect_refusal(with("added_tokens.json", R"({"new": 0})"), ErrorKind::kCorruptData, "'new' has id");
  expect_refusal(with("generation_config.json", R"({"eos_token_id": 9999})"), ErrorKind::kCorruptData, "EOS id 9999");
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

TEST(BadTokenizer, GzipIsReadAndItsDamageFound) {
  const std::string packed = gzip(test::tiny_tokenizer_json().dump());
  EXPECT_FALSE(refusal_of(packed, "tokenizer.json.gz").has_value());
  for (const std::size_t size : {packed.size() - 1, packed.size() / 2, std::size_t{12}, std::size_t{2}}) {
    expect_refusal(refusal_of(packed.substr(0, size), "tokenizer.json.gz"), ErrorKind::kCorruptData, "cut short");
  }
  std::string damaged = packed;
  damaged[packed.size() / 2] = static_cast<char>(damaged[packed.size() / 2] ^ 0x55);
  expect_refusal(refusal_of(damaged, "tokenizer.json.gz"), ErrorKind::kCorruptData, "gzip");
}

TEST(BadTokenizer, GzipThatUnpacksWithoutEndIsStopped) {
  const std::string bomb = gzip(std::string(std::size_t{300} << 20, ' '));
  expect_refusal(refusal_of(bomb, "tokenizer.json.gz"), ErrorKind::kCorruptData, "unpacks to more than");
}

TEST(BadTokenizer, OtherFilesAreNotTokenizers) {
  for (const char* text :
       {"", "hello", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "\x89PNG", "{}"}) {
    const auto error = refusal_of(text, "tokenizer.model");
    ASSERT_TRUE(error.has_value()) << text;
    EXPECT_EQ(error->kind(), ErrorKind::kCorruptData);
    EXPECT_FALSE(error->hint().empty());
  }
}

TEST(BadTokenizer, SentencePieceModelsAreCheckedPieceByPiece) {
  const auto refused = [](const std::string& bytes, ErrorKind kind, const std::string& says) {
    SCOPED_TRACE(says);
    expect_refusal(refusal_of(bytes, "tokenizer.model"), kind, says);
  };
  const std::string good = test::tiny_sentencepiece();
  refused(good + test::sentencepiece_piece("a", 1), ErrorKind::kCorruptData, "'a' occurs twice");
  refused(good + test::sentencepiece_piece("", 1), ErrorKind::kCorruptData, "is empty");
  refused(good + test::sentencepiece_piece("\xFF", 1), ErrorKind::kCorruptData, "is not UTF-8");
  refused(good + test::sentencepiece_piece("z", 9), ErrorKind::kCorruptData, "unknown kind 9");
  refused(good + test::sentencepiece_piece("<u2>", 2), ErrorKind::kCorruptData, "2 unknown tokens");
  refused(good + test::sentencepiece_piece("<0x41>", 6), ErrorKind::kCorruptData, "is not a byte of this model");
  refused(good + std::string("\x12\x02\x18\x01", 4), ErrorKind::kUnsupported, "'unigram'");
  refused(good + std::string("\x1A\x03\x12\x01x", 5), ErrorKind::kUnsupported, "character map");
  refused(good + std::string("\x1A\x02\x20\x01", 4), ErrorKind::kUnsupported, "white space");
  refused(good + "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", ErrorKind::kCorruptData, "not a sentencepiece model");
}

// Whatever bytes change or go missing, loading ends in a tokenizer or an Error: nothing else.
void survive_damage(const std::string& good, const std::string& name, int rounds) {
  std::mt19937 random(7);
  const auto below = [&](std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
  };
  int refused = 0;
  const TemporaryFolder folder;
  for (int round = 0; round < rounds; ++round) {
    std::string bytes = good;
    if (round % 2 == 0) bytes.resize(below(bytes.size()));
    for (std::size_t i = below(4); i > 0 && !bytes.empty(); --i)
      bytes[below(bytes.size())] = static_cast<char>(below(256));
    std::ofstream(folder.path() / name, std::ios::binary) << bytes;  // write_file's fsync is slow
    try {
      const auto tokenizer = load_tokenizer(folder.path() / name);
      tokenizer->decode(tokenizer->encode("a b <e>\xFF ab", {.add_bos = true}));
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind() == ErrorKind::kCorruptData || error.kind() == ErrorKind::kUnsupported) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, rounds / 4);
}

TEST(BadTokenizer, RandomDamageToATokenizerJsonIsSurvived) {
  survive_damage(test::tiny_tokenizer_json().dump(), "tokenizer.json", 400);
}

TEST(BadTokenizer, RandomDamageToASentencePieceModelIsSurvivedInSilence) {
  testing::internal::CaptureStderr();
  survive_damage(test::tiny_sentencepiece(), "tokenizer.model", 400);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(BadTokenizer, CutReferenceFilesAreRefused) {
  for (const char* name : {"llama2_style/tokenizer.model", "llama3_style/tokenizer.model", "phi3/tokenizer.json",
                           "llama3_style/tokenizer.json.gz"}) {
    const std::string good = read_file(test::tokenizer_path(name));
    const std::string file = std::filesystem::path(name).filename();
    for (const std::size_t size : {good.size() / 2, good.size() - 5}) {
      SCOPED_TRACE(std::string(name) + " cut to " + std::to_string(size));
      const auto error = refusal_of(good.substr(0, size), file);
      ASSERT_TRUE(error.has_value());
      EXPECT_EQ(error->kind(), ErrorKind::kCorruptData);
    }
  }
  std::string ranks = read_file(test::tokenizer_path("llama3_style/tokenizer.model"));
  ranks.replace(ranks.find("\n") + 1, 4, "****");
  expect_refusal(refusal_of(ranks, "tokenizer.model"), ErrorKind::kCorruptData, "line 2");
}

}  // namespace
}  // namespace striate
