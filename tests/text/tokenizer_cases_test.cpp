// Every case of the two files of tokenizer cases: ids and decoded text as the reference implementations gave them.
#include <gtest/gtest.h>

#include <set>

#include "tests/support/paths.h"
#include "tests/text/reference_tokenizers.h"

namespace striate {
namespace {

using test::reference_tokenizer;

constexpr const char* kOwnCases = "tokenizer_cases.json";          // of published tokenizers
constexpr const char* kStyleCases = "style_tokenizer_cases.json";  // of the small ones in their place

// A field of a case: which tokenizer gave it, and how.
struct ReferenceField {
  const char* file;
  const char* name;
  const char* tokenizer;
  EncodeOptions encode;
  const char* otherwise;  // the field that holds where this one is absent; "" if none
  bool check_decoded;
  bool skip_special;  // how "decoded" was made
};

const ReferenceField kFields[] = {
    {kStyleCases, "llama2_style_sp", "llama2_style", {.parse_special = false}, "", true, false},
    {kStyleCases, "llama2_style_hf_slow", "llama2_style", {.add_bos = true}, "", true, true},
    {kStyleCases, "llama2_style_hf_slow_legacy", "llama2_style_legacy", {.add_bos = true}, "", false, false},
    {kStyleCases, "llama2_style_hf_fast", "llama2_style_json", {.add_bos = true}, "", false, false},
    {kStyleCases, "llama3_style", "llama3_style", {}, "", true, false},
    {kStyleCases, "llama3_style", "llama3_style_ranks", {}, "", true, false},
    {kStyleCases, "llama3_style_ordinary", "llama3_style", {.parse_special = false}, "", false, false},
    {kStyleCases, "llama3_style_ordinary", "llama3_style_ranks", {.parse_special = false}, "", false, false},
    {kOwnCases, "llama2_sp", "llama2", {.parse_special = false}, "", true, false},
    {kOwnCases, "llama2_hf_slow", "llama2", {.add_bos = true}, "", true, true},
    {kOwnCases, "llama2_hf_slow_legacy", "llama2_legacy", {.add_bos = true}, "", false, false},
    {kOwnCases, "llama2_hf_fast", "llama2_json", {.add_bos = true}, "", false, false},
    {kOwnCases, "llama3", "llama3", {}, "", true, false},
    {kOwnCases, "llama3", "llama3_ranks", {}, "", true, false},
    {kOwnCases, "llama3_ordinary", "llama3", {.parse_special = false}, "llama3", false, false},
    {kOwnCases, "llama3_ordinary", "llama3_ranks", {.parse_special = false}, "llama3", false, false},
    {kOwnCases, "phi3", "phi3", {}, "", true, false},
    {kOwnCases, "phi3_orig", "phi3_orig", {}, "phi3", false, false},
    {kOwnCases, "phi2", "phi2", {}, "", true, false},
};

// The ids of a small byte-level tokenizer as its rank file, filled up, numbers them: special tokens come last.
std::vector<std::int64_t> in_full_ranks(std::vector<std::int64_t> ids) {
  const std::int64_t learned = reference_tokenizer("llama3_style")->vocab_size() - test::kLlama3Specials;
  for (std::int64_t& id : ids) id += id < learned ? 0 : test::kLlama3Ranks - learned;
  return ids;
}

class TokenizerCases : public testing::TestWithParam<ReferenceField> {};

TEST_P(TokenizerCases, GiveTheReferenceIdsAndText) {
  const ReferenceField& field = GetParam();
  const auto tokenizer = reference_tokenizer(field.tokenizer);
  int checked = 0;
  const nlohmann::json reference = test::reference_json(field.file);
  for (const nlohmann::json& entry : reference.at("cases")) {
    SCOPED_TRACE(entry.at("name"));
    const char* key = entry.contains(field.name) ? field.name : field.otherwise;
    if (!entry.contains(key)) continue;
    const std::string text =
        entry.contains("hex") ? test::from_hex(entry.at("hex")) : entry.at("text").get<std::string>();
    std::vector<std::int64_t> wanted = entry.at(key);
    if (std::string_view(field.tokenizer) == "llama3_style_ranks") wanted = in_full_ranks(std::move(wanted));
    EXPECT_EQ(tokenizer->encode(text, field.encode), wanted);
    if (field.check_decoded) {
      const nlohmann::json decoded = entry.value("decoded", nlohmann::json::object());
      const std::string wanted_text = decoded.value(field.name, entry.value("text", std::string()));
      EXPECT_EQ(tokenizer->decode(wanted, field.skip_special), wanted_text);
    }
    ++checked;
  }
  EXPECT_GE(checked, 1);
  RecordProperty("cases", checked);
}

const auto kFieldTokenizer = [](const ReferenceField& field) { return field.tokenizer; };

INSTANTIATE_TEST_SUITE_P(Fields, TokenizerCases,
                         testing::ValuesIn(test::with_tokenizers<ReferenceField>(kFields, kFieldTokenizer)),
                         [](const auto& info) {
                           return std::string(info.param.name) + "_with_" + info.param.tokenizer;
                         });

TEST(TokenizerCasesFile, HasNoFieldThatIsNotTested) {
  std::set<std::string> known = {"name", "text", "hex", "decoded"};
  for (const ReferenceField& field : kFields) known.insert(field.name);
  for (const char* file : {kOwnCases, kStyleCases}) {
    const nlohmann::json reference = test::reference_json(file);
    for (const nlohmann::json& entry : reference.at("cases")) {
      for (const auto& [key, value] : entry.items()) EXPECT_TRUE(known.contains(key)) << key;
    }
  }
}

class TokenizerCaseTexts : public testing::TestWithParam<std::string> {};

TEST_P(TokenizerCaseTexts, DecodeAlikeInOneGoAndInAStream) {
  const auto tokenizer = reference_tokenizer(GetParam());
  const nlohmann::json reference = test::reference_json(kOwnCases);
  for (const nlohmann::json& entry : reference.at("cases")) {
    SCOPED_TRACE(entry.at("name"));
    if (!entry.contains("text")) continue;
    const std::vector<std::int64_t> ids = tokenizer->encode(entry.at("text").get<std::string>(), {.add_bos = true});
    for (const bool skip_special : {false, true}) {
      StreamDecoder stream(tokenizer, skip_special);
      std::string joined;
      for (const std::int64_t id : ids) {
        const std::string piece = stream.push(id);
        EXPECT_EQ(to_valid_utf8(piece), piece) << "half a character";
        joined += piece;
      }
      joined += stream.finish();
      EXPECT_EQ(joined, to_valid_utf8(tokenizer->decode(ids, skip_special)));
    }
  }
}

// Masks stand on spans: they come in order, lie inside the text, and between them leave nothing out.
TEST_P(TokenizerCaseTexts, AreTiledBySpans) {
  const auto tokenizer = reference_tokenizer(GetParam());
  const nlohmann::json reference = test::reference_json(kOwnCases);
  for (const nlohmann::json& entry : reference.at("cases")) {
    SCOPED_TRACE(entry.at("name"));
    if (!entry.contains("text")) continue;
    const std::string text = entry.at("text");
    std::size_t covered = 0;
    for (const TokenSpan& span : tokenizer->encode_spans(text)) {
      EXPECT_EQ(span.begin, covered);
      EXPECT_GE(span.end, span.begin);
      covered = span.end;
    }
    EXPECT_EQ(covered, text.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Of, TokenizerCaseTexts, testing::ValuesIn(test::all_tokenizers()), test::kTokenizerName);

}  // namespace
}  // namespace striate
