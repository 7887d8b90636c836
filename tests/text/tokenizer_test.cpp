// What the tokenizers promise beyond the reference cases: choosing files, special tokens, streams, long texts.
#include "striate/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/text/sentencepiece_model.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"
#include "tests/text/reference_tokenizers.h"
#include "tests/text/tiny_tokenizers.h"

namespace striate {
namespace {

using Ids = std::vector<std::int64_t>;
using test::reference_tokenizer;
using test::TemporaryFolder;

std::shared_ptr<const Tokenizer> tiny(const nlohmann::json& document = test::tiny_tokenizer_json()) {
  const TemporaryFolder folder;
  write_file(folder.path() / "tokenizer.json", document.dump());
  return load_tokenizer(folder.path());
}

void copy_reference(const char* name, const TemporaryFolder& folder) {
  std::filesystem::copy_file(test::tokenizer_path(name), folder.path() / std::filesystem::path(name).filename());
}

class AnyTokenizer : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Of, AnyTokenizer, testing::ValuesIn(test::all_tokenizers()), test::kTokenizerName);

TEST(Tokenizer, MergesInOrderOfRankThenFromTheLeft) {
  const auto tokenizer = tiny();
  EXPECT_EQ(tokenizer->encode("abcab ab a"), (Ids{257, 256, ' ', 256, 258}));
  EXPECT_EQ(tokenizer->encode("aab"), (Ids{'a', 256}));
  EXPECT_EQ(tokenizer->encode(""), Ids{});
}

TEST(Tokenizer, SpecialTokensAreFoundOrLeftAsTextAsAsked) {
  const auto tokenizer = tiny();
  EXPECT_EQ(tokenizer->encode("ab<e>ab", {.add_bos = true}), (Ids{259, 256, 260, 256}));
  EXPECT_EQ(tokenizer->encode("<e>", {.parse_special = false}), (Ids{'<', 'e', '>'}));
  EXPECT_TRUE(tokenizer->is_special(260));
  EXPECT_FALSE(tokenizer->is_special(256));
  EXPECT_EQ(tokenizer->decode({259, 256, 260}), "<s>ab<e>");
  EXPECT_EQ(tokenizer->decode({259, 256, 260}, true), "ab");
}

// The ids and texts are those of tokenizers 0.23.
TEST(Tokenizer, MetaspacePutsItsMarkWhereItsSchemeSays) {
  nlohmann::json document = test::tiny_tokenizer_json();
  document["model"]["vocab"] = {{"a", 0}, {"b", 1}, {"\u2581", 2}};
  document["model"]["merges"] = nlohmann::json::array();
  document["added_tokens"] = nlohmann::json::array();
  document["added_tokens"].push_back({{"id", 3}, {"content", "<s>"}, {"normalized", false}, {"special", true}});
  document["post_processor"] = nullptr;
  const nlohmann::json metaspace = {{"type", "Metaspace"}, {"replacement", "\u2581"}};
  struct Expected {
    const char* scheme;
    Ids ids;
    std::string text;
  };
  for (const Expected& expected :
       {Expected{"always", {2, 0, 2, 1, 3, 2, 1}, "a b<s> b"}, Expected{"first", {2, 0, 2, 1, 3, 1}, "a b<s>b"},
        Expected{"never", {0, 2, 1, 3, 1}, "a b<s>b"}}) {
    document["pre_tokenizer"] = metaspace;
    document["pre_tokenizer"]["prepend_scheme"] = expected.scheme;
    document["decoder"] = document["pre_tokenizer"];
    const auto tokenizer = tiny(document);
    EXPECT_EQ(tokenizer->encode("a b<s>b"), expected.ids) << expected.scheme;
    EXPECT_EQ(tokenizer->decode(expected.ids), expected.text) << expected.scheme;
  }
  document["pre_tokenizer"] = metaspace;
  document["pre_tokenizer"]["add_prefix_space"] = false;  // as older files say "never"
  EXPECT_EQ(tiny(document)->encode("a b<s>b"), (Ids{0, 2, 1, 3, 1}));
}

TEST(Tokenizer, KnowsItsTokensByNameAndNumber) {
  const auto tokenizer = tiny();
  EXPECT_EQ(tokenizer->vocab_size(), 261);
  EXPECT_EQ(tokenizer->token_to_id("abc"), 257);
  EXPECT_EQ(tokenizer->token_to_id("<e>"), 260);
  EXPECT_EQ(tokenizer->token_to_id("nothing"), std::nullopt);
  EXPECT_EQ(tokenizer->id_to_token(258), "\u0120a");
  EXPECT_EQ(tokenizer->bos_id(), 259);
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->description(), "byte-level BPE, 261 tokens");
  for (const std::int64_t id : {std::int64_t{-1}, std::int64_t{261}, std::int64_t{1} << 40}) {
    EXPECT_ERROR(tokenizer->id_to_token(id), "is outside the vocabulary");
    EXPECT_ERROR(tokenizer->is_special(id), "is outside the vocabulary");
    EXPECT_ERROR(tokenizer->decode({id}), "is outside the vocabulary");
  }
}

TEST(Tokenizer, DecodesTheExactBytesEvenOfHalfACharacter) {
  const auto tokenizer = tiny();
  EXPECT_EQ(tokenizer->decode({0xF0, 0x9F}), "\xF0\x9F");
  EXPECT_EQ(tokenizer->decode({0xFF, 0x00, 'a'}), std::string("\xFF\0a", 3));
}

TEST(Tokenizer, MalformedTextIsTakenAsReplacementCharacters) {
  const auto tokenizer = tiny();
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a\xFF\xE4\xBD")), "a\uFFFD\uFFFD");
}

TEST(StreamDecoder, HoldsBackHalfACharacterAndReplacesWhatStaysBroken) {
  const auto tokenizer = tiny();
  StreamDecoder stream(tokenizer);
  EXPECT_EQ(stream.push(0xF0), "");
  EXPECT_EQ(stream.push(0x9F), "");
  EXPECT_EQ(stream.push(0x99), "");
  EXPECT_EQ(stream.push(0x82), "🙂");
  EXPECT_EQ(stream.push(0xE4), "");
  EXPECT_EQ(stream.push('a'), "\uFFFDa");
  EXPECT_EQ(stream.push(0xFF), "\uFFFD");
  EXPECT_EQ(stream.push(0xE4), "");
  EXPECT_EQ(stream.push(0xBD), "");
  EXPECT_EQ(stream.finish(), "\uFFFD");
  EXPECT_EQ(stream.finish(), "");
}

TEST_P(AnyTokenizer, DecodesAnyIdsInAStreamAsAtOnce) {
  const auto tokenizer = reference_tokenizer(GetParam());
  std::uint64_t state = 88172645463325252ULL;
  for (int round = 0; round < 200; ++round) {
    Ids ids;
    for (int i = 0; i < 30; ++i) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      // Every id now and then, and often one of the first: specials and bytes.
      const std::int64_t bound = i % 3 == 0 ? tokenizer->vocab_size() : 300;
      const std::int64_t id = static_cast<std::int64_t>(state % static_cast<std::uint64_t>(bound));
      ids.push_back(id);
    }
    for (const bool skip_special : {false, true}) {
      StreamDecoder stream(tokenizer, skip_special);
      std::string joined;
      for (const std::int64_t id : ids) joined += stream.push(id);
      joined += stream.finish();
      EXPECT_EQ(joined, to_valid_utf8(tokenizer->decode(ids, skip_special)));
    }
  }
}

// The first word loses the space that stands for the beginning of the text; every later one keeps it.
TEST(StreamDecoder, StripsTheFirstSpaceOnly) {
  for (const char* name : {"llama2_style", "llama2_style_json", "phi3"}) {
    const auto tokenizer = reference_tokenizer(name);
    const std::int64_t the = tokenizer->token_to_id("\u2581the").value();
    StreamDecoder stream(tokenizer);
    EXPECT_EQ(stream.push(1), "");
    EXPECT_EQ(stream.push(the), "the") << name;
    EXPECT_EQ(stream.push(the), " the") << name;
    EXPECT_EQ(stream.push(the), " the") << name;
  }
}

TEST_P(AnyTokenizer, LongTextsWithoutASpaceAreNotQuadratic) {
  std::string letters;
  for (std::size_t i = 0; i < 300'000; ++i) letters += static_cast<char>('a' + (i * i / 7 + i) % 26);
  const std::string texts[] = {letters, std::string(300'000, 'a'), std::string(300'000, ' '),
                               std::string(300'000, '\n'), std::string(300'000, '<')};
  const auto tokenizer = reference_tokenizer(GetParam());
  for (const std::string& text : texts) {
    // Decoding with `legacy` takes off a space at the beginning, as sentencepiece does.
    const bool loses_a_space = GetParam().ends_with("_legacy") && text.starts_with(' ');
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), loses_a_space ? text.substr(1) : text);
  }
}

TEST_P(AnyTokenizer, GivesManyThreadsTheSameIds) {
  const auto tokenizer = reference_tokenizer(GetParam());
  const std::string text = "Threads share one tokenizer: naïve, 你好, 🙂 <|eot_id|></s>!";
  const Ids wanted = tokenizer->encode(text);
  std::vector<int> wrong(4);
  {
    std::vector<std::jthread> threads;
    for (int& count : wrong) {
      threads.emplace_back([&] {
        for (int i = 0; i < 300; ++i) count += tokenizer->encode(text) != wanted ? 1 : 0;
      });
    }
  }
  EXPECT_THAT(wrong, testing::Each(0));
}

TEST(TokenizerFolder, PrefersTokenizerJsonUnlessItOverlooksSpecialTokens) {
  // This tokenizer.json has `normalized` special tokens, as early Llama-2 conversions do.
  EXPECT_EQ(load_tokenizer(test::tokenizer_path("llama2_style"))->description(), "sentencepiece BPE, 1000 tokens");
  const TemporaryFolder folder;
  copy_reference("llama2_style/tokenizer.model", folder);
  copy_reference("phi3/tokenizer.json", folder);
  EXPECT_EQ(load_tokenizer(folder.path())->description(), "BPE, 32011 tokens");
}

TEST(TokenizerFolder, LegacyIsWhatTheConfigSaysAndOffWhereItSaysNothing) {
  const TemporaryFolder folder;
  copy_reference("llama2_style/tokenizer.model", folder);
  const auto tokenizer = load_tokenizer(folder.path());
  const std::int64_t bare = tokenizer->token_to_id("b").value();
  const std::int64_t marked = tokenizer->token_to_id("\u2581b").value();
  EXPECT_EQ(tokenizer->encode("</s>b"), (Ids{2, bare}));
  EXPECT_EQ(load_tokenizer(folder.path(), {.legacy = true})->encode("</s>b"), (Ids{2, marked}));
  write_file(folder.path() / "tokenizer_config.json", R"({"legacy": true})");
  EXPECT_EQ(load_tokenizer(folder.path())->encode("</s>b"), (Ids{2, marked}));
}

// The ids and texts are those of transformers' LlamaTokenizer (4.57) on the same model.
TEST(TokenizerFolder, WithoutAddPrefixSpaceTheFirstWordGetsNoSpace) {
  const TemporaryFolder folder;
  copy_reference("llama2_style/tokenizer.model", folder);
  write_file(folder.path() / "tokenizer_config.json", R"({"add_prefix_space": false})");
  const auto tokenizer = load_tokenizer(folder.path());
  const std::vector<std::pair<std::string, Ids>> cases = {
      {"b", {862}},          {" b", {296}},       {"the b", {842, 261, 296}}, {"b</s>b", {862, 2, 862}},
      {" </s> b", {2, 296}}, {"</s>b", {2, 862}}, {"  b", {262, 862}},        {"\u2581b", {296}}};
  for (const auto& [text, ids] : cases) EXPECT_EQ(tokenizer->encode(text), ids) << text;
  EXPECT_EQ(tokenizer->decode({296}), " b");
  EXPECT_EQ(tokenizer->decode({2, 862}), "</s>b");
  const auto legacy = load_tokenizer(folder.path(), {.legacy = true});
  EXPECT_EQ(legacy->encode("b"), (Ids{296})) << "sentencepiece's own prefix";
  EXPECT_EQ(legacy->decode({296}), "b");
  EXPECT_EQ(legacy->decode({262, 862}), " b");
}

TEST(TokenizerFolder, ALegacyModelWithoutADummyPrefixGetsNoneAndLosesNone) {
  const TemporaryFolder folder;
  const auto legacy = [&](bool dummy_prefix) {
    write_file(folder.path() / "tokenizer.model", test::tiny_sentencepiece() + dummy_prefix_field(dummy_prefix));
    return load_tokenizer(folder.path() / "tokenizer.model", {.legacy = true});
  };
  const std::int64_t bare = 4, marked = 5;  // "ab", and with a space before it
  EXPECT_EQ(legacy(true)->encode("ab"), (Ids{marked}));
  EXPECT_EQ(legacy(false)->encode("ab"), (Ids{bare}));
  EXPECT_EQ(legacy(true)->decode({2, marked}), "</s>ab");
  EXPECT_EQ(legacy(false)->decode({2, marked}), "</s> ab");
}

TEST(TokenizerFolder, AddedTokensOfASentencePieceFolderAreFound) {
  const TemporaryFolder folder;
  copy_reference("llama2_style/tokenizer.model", folder);
  write_file(folder.path() / "added_tokens.json", R"({"<image>": 1000, "<pad>": 1001})");
  write_file(folder.path() / "special_tokens_map.json", R"({"pad_token": {"content": "<pad>"}, "eos_token": "</s>"})");
  const auto tokenizer = load_tokenizer(folder.path());
  const std::int64_t a = tokenizer->token_to_id("\u2581a").value();
  const std::int64_t b = tokenizer->token_to_id("b").value();
  EXPECT_EQ(tokenizer->vocab_size(), 1002);
  EXPECT_EQ(tokenizer->encode("a<image>b</s><pad>", {.add_bos = true}), (Ids{1, a, 1000, b, 2, 1001}));
  EXPECT_EQ(tokenizer->pad_id(), 1001);
  EXPECT_EQ(tokenizer->eos_id(), 2);
  EXPECT_TRUE(tokenizer->is_special(1001));
  EXPECT_FALSE(tokenizer->is_special(1000));
  EXPECT_EQ(tokenizer->decode({a, 1000, b}), "a<image>b");
}

TEST(TokenizerFolder, BosFollowsTheModel) {
  const EncodeOptions bos{.add_bos = true};
  const auto first = [&](const char* name) { return reference_tokenizer(name)->encode("a", bos).front(); };
  EXPECT_EQ(first("llama2_style"), 1);
  EXPECT_EQ(first("llama3_style"), 1024);
  EXPECT_EQ(first("llama3_style_ranks"), 128000);
  EXPECT_EQ(reference_tokenizer("phi3_orig")->encode("a", bos), (Ids{1, 263}));
  EXPECT_EQ(reference_tokenizer("phi3")->encode("a", bos), (Ids{263}));
  EXPECT_FALSE(reference_tokenizer("phi3")->adds_bos());
  EXPECT_EQ(reference_tokenizer("phi3")->bos_id(), 1);
  EXPECT_EQ(reference_tokenizer("phi3")->eos_id(), 32000);
  EXPECT_EQ(reference_tokenizer("phi3")->pad_id(), 32000);
  EXPECT_EQ(reference_tokenizer("phi2")->eos_id(), 50256);
  EXPECT_EQ(reference_tokenizer("llama3_style")->eos_id(), 1025);
}

// The special tokens come after the ranks, of which a rank file has a fixed number.
TEST(TokenizerFolder, ARankFileAndItsTokenizerJsonAreOneVocabulary) {
  const auto json = reference_tokenizer("llama3_style");
  const auto ranks = reference_tokenizer("llama3_style_ranks");
  const std::int64_t learned = json->vocab_size() - test::kLlama3Specials;
  ASSERT_EQ(learned, 1024);
  ASSERT_EQ(ranks->vocab_size(), test::kLlama3Ranks + test::kLlama3Specials);
  for (std::int64_t id = 0; id < json->vocab_size(); ++id) {
    const std::int64_t there = id < learned ? id : id - learned + test::kLlama3Ranks;
    ASSERT_EQ(json->id_to_token(id), ranks->id_to_token(there)) << id;
    ASSERT_EQ(json->is_special(id), ranks->is_special(there)) << id;
  }
}

TEST(LlamasOwnTokenizers, HaveTheirPublishedIds) {
  for (const char* file : {"llama2/tokenizer.model", "llama2/tokenizer.json", "llama3/tokenizer.model"}) {
    STRIATE_REQUIRE_LLAMA(file);
  }
  EXPECT_EQ(reference_tokenizer("llama2")->encode("Hello world", {.add_bos = true}), (Ids{1, 15043, 3186}));
  EXPECT_EQ(load_tokenizer(test::tokenizer_path("llama2"))->description(), "sentencepiece BPE, 32000 tokens");
  const auto json = reference_tokenizer("llama3");
  const auto ranks = reference_tokenizer("llama3_ranks");
  ASSERT_EQ(json->vocab_size(), 128256);
  ASSERT_EQ(ranks->vocab_size(), 128256);
  for (std::int64_t id = 0; id < 128256; ++id) {
    ASSERT_EQ(json->id_to_token(id), ranks->id_to_token(id)) << id;
    ASSERT_EQ(json->is_special(id), ranks->is_special(id)) << id;
  }
}

// Every token of a vocabulary decodes to bytes and is found again by its name.
TEST_P(AnyTokenizer, FindsEveryIdByItsName) {
  const auto tokenizer = reference_tokenizer(GetParam());
  for (std::int64_t id = 0; id < tokenizer->vocab_size(); ++id) {
    ASSERT_EQ(tokenizer->token_to_id(tokenizer->id_to_token(id)), id);
  }
}

}  // namespace
}  // namespace striate
