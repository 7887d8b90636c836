// Conversations: every sample and prompt of conversations.json, and what Striate does where the originals stumble.
#include "striate/text/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "striate/base/error.h"
#include "tests/support/paths.h"
#include "tests/text/reference_tokenizers.h"

namespace striate {
namespace {

using test::reference_tokenizer;

struct Variant {
  const char* name;
  const char* tokenizer;
  TemplateKind kind;
};

constexpr Variant kVariants[] = {
    {"llava_v1", "llama2", TemplateKind::kVicunaV1},
    {"llava_v1_legacy", "llama2_legacy", TemplateKind::kVicunaV1},
    {"llava_plain", "llama2", TemplateKind::kPlain},
    {"bunny_llama3", "llama3", TemplateKind::kLlama},
    {"bunny_phi3", "phi3", TemplateKind::kPhi3},
    {"bunny_phi3_orig", "phi3_orig", TemplateKind::kPhi3},
    {"bunny_plain_llama3", "llama3", TemplateKind::kPlain},
};

// What the originals lose to a mismatch, and Striate learns from: the answers. docs/conversations.md gives the reasons.
const std::map<std::string, std::vector<std::string>> kLearnedWhereOriginalsWarn = {
    {"empty_question", {"Fine."}},
    {"ends_with_human", {"Hello"}},
    {"answer_contains_role_marker", {"IwriteASSISTANT:beforemytext.", "ok"}},
    {"answer_contains_eos_strings", {"Theyare</s>and<|end_of_text|>and<|endoftext|>.", "sure"}},
};

std::string answers_with_stop(const std::vector<std::string>& answers, TemplateKind kind) {
  std::string text;
  for (const std::string& answer : answers) text += answer + stop_string(kind) + "|";
  return text;
}

std::vector<Message> messages_of(const nlohmann::json& sample) {
  std::vector<Message> messages;
  for (const nlohmann::json& turn : sample.at("conversations")) messages.push_back({turn.at("from"), turn.at("value")});
  return messages;
}

ConversationOptions options_of(const nlohmann::json& sample, TemplateKind kind) {
  ConversationOptions options{.kind = kind, .has_image = sample.contains("image")};
  // The originals' preprocess cuts text-only samples; samples with an image are cut later, by the collator.
  if (!options.has_image) options.max_tokens = sample.value("model_max_length", std::size_t{2048});
  return options;
}

// Labels as "[begin, end)" ranges.
std::vector<std::pair<std::size_t, std::size_t>> label_spans(const std::vector<std::int64_t>& labels) {
  std::vector<std::pair<std::size_t, std::size_t>> spans;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == kIgnoreLabel) continue;
    if (spans.empty() || spans.back().second != i) spans.emplace_back(i, i);
    spans.back().second = i + 1;
  }
  return spans;
}

// What is learned, without its spaces (sentencepiece decoding adds some around special tokens); '|' ends an answer.
std::string learned_text(const Tokenizer& tokenizer, const EncodedConversation& encoded) {
  std::string learned;
  for (const auto& [begin, end] : label_spans(encoded.labels)) {
    const std::vector<std::int64_t> ids(encoded.input_ids.begin() + static_cast<std::ptrdiff_t>(begin),
                                        encoded.input_ids.begin() + static_cast<std::ptrdiff_t>(end));
    for (const char c : tokenizer.decode(ids)) {
      if (c != ' ') learned += c;
    }
    learned += '|';
  }
  return learned;
}

void expect_wellformed(const EncodedConversation& encoded) {
  ASSERT_EQ(encoded.labels.size(), encoded.input_ids.size());
  for (std::size_t i = 0; i < encoded.labels.size(); ++i) {
    EXPECT_TRUE(encoded.labels[i] == kIgnoreLabel || encoded.labels[i] == encoded.input_ids[i]) << i;
  }
}

TEST(ConversationsFile, IdsAndMasksEqualTheOriginals) {
  STRIATE_REQUIRE_TESTDATA();
  int equal = 0;
  int refused = 0;
  int deliberate = 0;
  int expected = 0;
  const nlohmann::json reference = test::reference_json("conversations.json");
  for (const nlohmann::json& entry : reference.at("cases")) {
    const nlohmann::json& sample = entry.at("sample");
    expected += static_cast<int>(entry.at("expected").size());
    for (const Variant& variant : kVariants) {
      if (!entry.at("expected").contains(variant.name)) continue;
      const std::string id = sample.at("id");
      SCOPED_TRACE(id + " " + variant.name);
      const nlohmann::json& wanted = entry.at("expected").at(variant.name);
      const auto tokenizer = reference_tokenizer(variant.tokenizer);
      const auto encode = [&] {
        return encode_conversation(*tokenizer, messages_of(sample), options_of(sample, variant.kind));
      };
      if (wanted.contains("error")) {
        EXPECT_THROW(encode(), Error);
        ++refused;
        continue;
      }
      const EncodedConversation encoded = encode();
      expect_wellformed(encoded);
      EXPECT_EQ(encoded.prompt, wanted.at("prompt").get<std::string>());
      EXPECT_EQ(encoded.input_ids, wanted.at("input_ids").get<std::vector<std::int64_t>>());
      // Nothing to learn, and the originals' warning makes no difference: an empty answer.
      const bool same = !wanted.contains("warning") || id == "empty_answer_last";
      if (!same) {
        ASSERT_TRUE(kLearnedWhereOriginalsWarn.contains(id)) << "a new kind of mismatch: decide what it should do";
        EXPECT_EQ(learned_text(*tokenizer, encoded),
                  answers_with_stop(kLearnedWhereOriginalsWarn.at(id), variant.kind));
        ++deliberate;
      } else {
        EXPECT_EQ(label_spans(encoded.labels),
                  (wanted.at("label_spans").get<std::vector<std::pair<std::size_t, std::size_t>>>()));
        ++equal;
      }
    }
  }
  RecordProperty("equal", equal);
  RecordProperty("refused_as_in_the_originals", refused);
  RecordProperty("deliberately_different", deliberate);
  // Nothing in the file goes unlooked at, and most of it is not an exception.
  EXPECT_EQ(equal + refused + deliberate, expected);
  EXPECT_GT(equal, refused + deliberate);
  // The published file: 135 expectations.
  if (reference.at("cases").size() == 24) {
    EXPECT_EQ(equal, 100);
    EXPECT_EQ(refused, 16);
    EXPECT_EQ(deliberate, 19);
  }
}

TEST(ConversationsFile, PromptsEqualTheOriginals) {
  STRIATE_REQUIRE_TESTDATA();
  const std::map<std::string, TemplateKind> ours = {
      {"llava:v1", TemplateKind::kVicunaV1},   {"llava:vicuna_v1", TemplateKind::kVicunaV1},
      {"bunny:default", TemplateKind::kBunny}, {"bunny:bunny", TemplateKind::kBunny},
      {"bunny:phi3", TemplateKind::kPhi3},     {"bunny:llama", TemplateKind::kLlama},
  };
  const std::vector<Message> one = {{"human", "<image>\nWhat is this?"}};
  const std::vector<Message> two = {{"human", "<image>\nWhat is this?"}, {"gpt", "A cat."}, {"human", "Sure?"}};
  const nlohmann::json reference = test::reference_json("conversations.json");
  for (const auto& [name, kind] : ours) {
    SCOPED_TRACE(name);
    const nlohmann::json& wanted = reference.at("inference_prompts").at(name);
    EXPECT_EQ(render_prompt(one, kind), wanted.at("one_turn").get<std::string>());
    EXPECT_EQ(render_prompt(two, kind), wanted.at("two_turns").get<std::string>());
    EXPECT_EQ(stop_string(kind), wanted.at("sep2").get<std::string>());
  }
}

// The mask does not depend on the length of anything: however an answer looks, all of it is learned, and no more.
TEST(Conversation, EveryAnswerIsLearnedWhole) {
  STRIATE_REQUIRE_TESTDATA();
  const std::vector<std::string> answers = {"a",     "  b",       "\n\nc\n", "USER: d", "ASSISTANT:", "e ASSISTANT: f",
                                            "</s>g", "<image> h", "\u2581i", "🙂",    "1",          "<|endoftext|>"};
  for (const Variant& variant : kVariants) {
    if (variant.kind == TemplateKind::kPlain) continue;
    const auto tokenizer = reference_tokenizer(variant.tokenizer);
    for (const std::string& answer : answers) {
      SCOPED_TRACE(std::string(variant.name) + " " + answer);
      const std::vector<Message> messages = {{"human", "q"}, {"gpt", answer}, {"human", "r"}, {"gpt", answer}};
      const EncodedConversation encoded = encode_conversation(*tokenizer, messages, {.kind = variant.kind});
      expect_wellformed(encoded);
      const auto spans = label_spans(encoded.labels);
      ASSERT_EQ(spans.size(), 2u);
      // The second answer's labels are the first's (the text before both is the same "ASSISTANT:").
      const auto ids = [&](std::size_t i) {
        return std::vector<std::int64_t>(encoded.input_ids.begin() + static_cast<std::ptrdiff_t>(spans[i].first),
                                         encoded.input_ids.begin() + static_cast<std::ptrdiff_t>(spans[i].second));
      };
      EXPECT_EQ(ids(0), ids(1));
      EXPECT_EQ(spans[1].second, encoded.input_ids.size());
      EXPECT_EQ(encoded.input_ids.back(), tokenizer->token_to_id(stop_string(variant.kind)));
    }
  }
}

TEST(Conversation, CutsAtTheTokenLimit) {
  STRIATE_REQUIRE_TESTDATA();
  const auto tokenizer = reference_tokenizer("llama2");
  const std::vector<Message> messages = {{"human", "<image>\nq"}, {"gpt", "one two three"}};
  ConversationOptions options{.has_image = true};
  const EncodedConversation whole = encode_conversation(*tokenizer, messages, options);
  options.max_tokens = whole.input_ids.size() - 2;
  const EncodedConversation cut = encode_conversation(*tokenizer, messages, options);
  EXPECT_EQ(cut.input_ids.size(), options.max_tokens);
  EXPECT_TRUE(std::equal(cut.labels.begin(), cut.labels.end(), whole.labels.begin()));
}

TEST(Conversation, PromptIsThePrefixOfTheTrainingSample) {
  STRIATE_REQUIRE_TESTDATA();
  const auto tokenizer = reference_tokenizer("llama3");
  const std::vector<Message> question = {{"human", "<image>\nWhat is this?"}};
  std::vector<Message> answered = question;
  answered.push_back({"gpt", "A cat."});
  const std::string prompt = render_prompt(question, TemplateKind::kLlama);
  const std::vector<std::int64_t> ids = encode_prompt(*tokenizer, prompt);
  const EncodedConversation sample =
      encode_conversation(*tokenizer, answered, {.kind = TemplateKind::kLlama, .has_image = true});
  EXPECT_TRUE(sample.prompt.starts_with(prompt));
  EXPECT_EQ(ids.front(), 128000);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), kImageToken), 1);
  ASSERT_LT(ids.size(), sample.input_ids.size());
  EXPECT_TRUE(std::equal(ids.begin(), ids.end(), sample.input_ids.begin()));
  EXPECT_NE(sample.labels[ids.size()], kIgnoreLabel);
  EXPECT_EQ(sample.labels[ids.size() - 1], kIgnoreLabel);
}

TEST(Conversation, EncodesSeveralImagesAndNone) {
  STRIATE_REQUIRE_TESTDATA();
  const auto phi3 = reference_tokenizer("phi3");
  EXPECT_EQ(encode_prompt(*phi3, "<image><image>"), (std::vector<std::int64_t>{kImageToken, kImageToken}));
  EXPECT_EQ(encode_prompt(*phi3, ""), std::vector<std::int64_t>{});
  const auto llama2 = reference_tokenizer("llama2");
  EXPECT_EQ(encode_prompt(*llama2, ""), std::vector<std::int64_t>{1});
  EXPECT_EQ(encode_prompt(*llama2, "<image>"), (std::vector<std::int64_t>{1, kImageToken}));
}

// The message of what `call` throws.
template <typename Call>
std::string complaint(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidInput);
    EXPECT_FALSE(error.hint().empty());
    return error.what();
  }
  return "nothing thrown";
}

TEST(Conversation, SaysWhichMessageIsWrong) {
  STRIATE_REQUIRE_TESTDATA();
  const auto tokenizer = reference_tokenizer("llama2");
  const auto refusal = [&](const std::vector<Message>& messages, TemplateKind kind = TemplateKind::kVicunaV1) {
    return complaint([&] { encode_conversation(*tokenizer, messages, {.kind = kind}); });
  };
  using testing::HasSubstr;
  EXPECT_THAT(refusal({}), HasSubstr("without messages"));
  EXPECT_THAT(refusal({{"gpt", "hi"}}), HasSubstr("without a question"));
  EXPECT_THAT(refusal({{"human", "a"}, {"system", "b"}}), HasSubstr("message 2 (from 'system'): unknown role"));
  EXPECT_THAT(refusal({{"human", "a"}, {"human", "b"}}), HasSubstr("message 2 (from 'human'): out of turn"));
  EXPECT_THAT(refusal({{"gpt", "a"}, {"gpt", "b"}}), HasSubstr("message 2 (from 'gpt'): out of turn"));
  EXPECT_THAT(refusal({{"human", "<image>"}}, TemplateKind::kPlain), HasSubstr("1 messages instead of two"));
  EXPECT_THAT(refusal({{"human", "a"}, {"gpt", "b"}}, TemplateKind::kPlain), HasSubstr("no <image>"));
  EXPECT_THAT(complaint([] {
                render_prompt({{"human", "a"}, {"gpt", "b"}}, TemplateKind::kPhi3);
              }),
              HasSubstr("ends with an answer"));
  EXPECT_THAT(complaint([] { render_prompt({}, TemplateKind::kPhi3); }), HasSubstr("without messages"));
}

TEST(Conversation, TemplatesHaveNamesAndNearNamesAreOffered) {
  for (const char* name : {"vicuna_v1", "bunny", "llama", "phi3", "plain"}) {
    EXPECT_EQ(template_name(parse_template(name)), name);
  }
  EXPECT_EQ(parse_template("v1"), TemplateKind::kVicunaV1);
  EXPECT_EQ(parse_template("llama3"), TemplateKind::kLlama);
  try {
    parse_template("vicuna_v2");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), testing::HasSubstr("vicuna_v1"));
  }
}

TEST(Conversation, PlainPromptIsTheTextAsItIs) {
  EXPECT_EQ(render_prompt({{"human", "<image>\ncaption:"}}, TemplateKind::kPlain), "<image>\ncaption:");
}

}  // namespace
}  // namespace striate
