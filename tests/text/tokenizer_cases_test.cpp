// Every case of tokenizer_cases.json: ids and decoded text as the reference implementations gave them.
#include <gtest/gtest.h>

#include <set>

#include "tests/support/paths.h"
#include "tests/text/reference_tokenizers.h"

namespace striate {
namespace {

using test::reference_tokenizer;

// A field of a case: which tokenizer gave it, and how.
struct ReferenceField {
  const char* name;
  const char* tokenizer;
  EncodeOptions encode;
  const char* otherwise;  // the field that holds where this one is absent; "" if none
  bool check_decoded;
  bool skip_special;  // how "decoded" was made
};

const ReferenceField kFields[] = {
    {"llama2_sp", "llama2", {.parse_special = false}, "", true, false},
    {"llama2_hf_slow", "llama2", {.add_bos = true}, "", true, true},
    {"llama2_hf_slow_legacy", "llama2_legacy", {.add_bos = true}, "", false, false},
    {"llama2_hf_fast", "llama2_json", {.add_bos = true}, "", false, false},
    {"llama3", "llama3", {}, "", true, false},
    {"llama3", "llama3_ranks", {}, "", true, false},
    {"llama3_ordinary", "llama3", {.parse_special = false}, "llama3", false, false},
    {"llama3_ordinary", "llama3_ranks", {.parse_special = false}, "llama3", false, false},
    {"phi3", "phi3", {}, "", true, false},
    {"phi3_orig", "phi3_orig", {}, "phi3", false, false},
    {"phi2", "phi2", {}, "", true, false},
};

class TokenizerCases : public testing::TestWithParam<ReferenceField> {};

TEST_P(TokenizerCases, GiveTheReferenceIdsAndText) {
  STRIATE_REQUIRE_TESTDATA();
  const ReferenceField& field = GetParam();
  const auto tokenizer = reference_tokenizer(field.tokenizer);
  int checked = 0;
  const nlohmann::json reference = test::reference_json("tokenizer_cases.json");
  for (const nlohmann::json& entry : reference.at("cases")) {
    SCOPED_TRACE(entry.at("name"));
    const char* key = entry.contains(field.name) ? field.name : field.otherwise;
    if (!entry.contains(key)) continue;
    const std::string text =
        entry.contains("hex") ? test::from_hex(entry.at("hex")) : entry.at("text").get<std::string>();
    const std::vector<std::int64_t> wanted = entry.at(key);
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

INSTANTIATE_TEST_SUITE_P(Fields, TokenizerCases, testing::ValuesIn(kFields), [](const auto& instance) {
  return std::string(instance.param.name) + "_with_" + instance.param.tokenizer;
});

TEST(TokenizerCasesFile, HasNoFieldThatIsNotTested) {
  STRIATE_REQUIRE_TESTDATA();
  std::set<std::string> known = {"name", "text", "hex", "decoded"};
  for (const ReferenceField& field : kFields) known.insert(field.name);
  const nlohmann::json reference = test::reference_json("tokenizer_cases.json");
  for (const nlohmann::json& entry : reference.at("cases")) {
    for (const auto& [key, value] : entry.items()) EXPECT_TRUE(known.contains(key)) << key;
  }
}

TEST(TokenizerCasesFile, DecodesAlikeInOneGoAndInAStream) {
  STRIATE_REQUIRE_TESTDATA();
  const nlohmann::json reference = test::reference_json("tokenizer_cases.json");
  for (const char* name : {"llama2", "llama2_legacy", "llama2_json", "llama3", "phi3", "phi3_orig", "phi2"}) {
    const auto tokenizer = reference_tokenizer(name);
    for (const nlohmann::json& entry : reference.at("cases")) {
      SCOPED_TRACE(std::string(name) + " " + entry.at("name").get<std::string>());
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
}

// Masks stand on spans: they come in order, lie inside the text, and between them leave nothing out.
TEST(TokenizerCasesFile, SpansTileEveryText) {
  STRIATE_REQUIRE_TESTDATA();
  const nlohmann::json reference = test::reference_json("tokenizer_cases.json");
  for (const char* name : {"llama2", "llama2_legacy", "llama2_json", "llama3", "llama3_ranks", "phi3", "phi2"}) {
    const auto tokenizer = reference_tokenizer(name);
    for (const nlohmann::json& entry : reference.at("cases")) {
      SCOPED_TRACE(std::string(name) + " " + entry.at("name").get<std::string>());
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
}

}  // namespace
}  // namespace striate
