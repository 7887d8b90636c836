// Conversations: every sample and prompt of the test data, and what Striate does where the originals stumble.
#include "striate/text/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "striate/base/error.h"
#include "tests/support/paths.h"
#include "tests/text/reference_tokenizers.h"

namespace striate {
namespace {

using test::reference_tokenizer;

constexpr const char* kOwnConversations = "conversations.json";          // with published tokenizers
constexpr const char* kStyleConversations = "style_conversations.json";  // with the small ones in their place

// A template and a tokenizer, and where the originals' ids and labels for them are.
struct Variant {
  const char* file;
  const char* name;
  const char* tokenizer;
  TemplateKind kind;
};

constexpr Variant kVariants[] = {
    {kStyleConversations, "llava_v1", "llama2_style", TemplateKind::kVicunaV1},
    {kStyleConversations, "llava_v1_legacy", "llama2_style_legacy", TemplateKind::kVicunaV1},
    {kStyleConversations, "llava_plain", "llama2_style", TemplateKind::kPlain},
    {kStyleConversations, "bunny_llama3", "llama3_style", TemplateKind::kLlama},
    {kStyleConversations, "bunny_plain_llama3", "llama3_style", TemplateKind::kPlain},
    {kOwnConversations, "bunny_phi3", "phi3", TemplateKind::kPhi3},
    {kOwnConversations, "bunny_phi3_orig", "phi3_orig", TemplateKind::kPhi3},
    {kOwnConversations, "llava_v1", "llama2", TemplateKind::kVicunaV1},
    {kOwnConversations, "llava_v1_legacy", "llama2_legacy", TemplateKind::kVicunaV1},
    {kOwnConversations, "llava_plain", "llama2", TemplateKind::kPlain},
    {kOwnConversations, "bunny_llama3", "llama3", TemplateKind::kLlama},
    {kOwnConversations, "bunny_plain_llama3", "llama3", TemplateKind::kPlain},
};

std::string variant_name(const Variant& variant) {
  return std::string(variant.name) + "_with_" + variant.tokenizer;
}

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant_name(variant);
}

// Those whose tokenizers are there, and of these those of conversations in turns.
std::vector<Variant> present_variants() {
  return test::with_tokenizers<Variant>(kVariants, [](const Variant& variant) { return variant.tokenizer; });
}
std::vector<Variant> chat_variants() {
  std::vector<Variant> found = present_variants();
  std::erase_if(found, [](const Variant& variant) { return variant.kind == TemplateKind::kPlain; });
  return found;
}

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

// What Striate learns where the originals warn of a mismatch and learn nothing: every answer that is not empty. Without
// its spaces; docs/conversations.md gives the reasons.
std::string all_answers(const nlohmann::json& sample, TemplateKind kind) {
  std::vector<std::string> answers;
  for (const Message& message : messages_of(sample)) {
    if (parse_role(message.from) != Role::kAssistant) continue;
    std::string text;
    for (const char c : message.value) {
      if (c != ' ') text += c;
    }
    if (!text.empty()) answers.push_back(text);
  }
  return answers_with_stop(answers, kind);
}

// Whether Striate reads what the originals refuse: a leading system text, and "assistant" for "gpt".
bool has_more_roles_than_the_originals_know(const nlohmann::json& sample) {
  const std::vector<Message> messages = messages_of(sample);
  return std::all_of(messages.begin(), messages.end(), [](const Message& m) { return parse_role(m.from).has_value(); });
}

class Conversations : public testing::TestWithParam<Variant> {};

TEST_P(Conversations, HaveTheOriginalsIdsAndMasks) {
  const Variant& variant = GetParam();
  const auto tokenizer = reference_tokenizer(variant.tokenizer);
  int equal = 0;
  int exceptions = 0;
  const nlohmann::json reference = test::reference_json(variant.file);
  for (const nlohmann::json& entry : reference.at("cases")) {
    if (!entry.at("expected").contains(variant.name)) continue;
    const nlohmann::json& sample = entry.at("sample");
    SCOPED_TRACE(sample.at("id"));
    const nlohmann::json& wanted = entry.at("expected").at(variant.name);
    const auto encode = [&] {
      return encode_conversation(*tokenizer, messages_of(sample), options_of(sample, variant.kind));
    };
    if (wanted.contains("error")) {
      ++exceptions;
      if (wanted.at("error") == "KeyError" && has_more_roles_than_the_originals_know(sample)) {
        EXPECT_GT(label_spans(encode().labels).size(), 0U);
      } else {
        EXPECT_NE(complaint(encode), "nothing thrown");
      }
      continue;
    }
    const EncodedConversation encoded = encode();
    expect_wellformed(encoded);
    EXPECT_EQ(encoded.prompt, wanted.at("prompt").get<std::string>());
    EXPECT_EQ(encoded.input_ids, wanted.at("input_ids").get<std::vector<std::int64_t>>());
    if (wanted.contains("warning")) {
      ++exceptions;
      EXPECT_EQ(learned_text(*tokenizer, encoded), all_answers(sample, variant.kind));
      continue;
    }
    EXPECT_EQ(label_spans(encoded.labels),
              (wanted.at("label_spans").get<std::vector<std::pair<std::size_t, std::size_t>>>()));
    ++equal;
  }
  RecordProperty("equal", equal);
  RecordProperty("exceptions", exceptions);
  EXPECT_GT(equal, exceptions) << "most cases are no exception";
}

INSTANTIATE_TEST_SUITE_P(Of, Conversations, testing::ValuesIn(present_variants()),
                         [](const auto& info) { return variant_name(info.param); });

TEST(ConversationsFile, HasNoVariantThatIsNotTested) {
  for (const char* file : {kOwnConversations, kStyleConversations}) {
    std::set<std::string> known;
    for (const Variant& variant : kVariants) {
      if (std::string_view(variant.file) == file) known.insert(variant.name);
    }
    const nlohmann::json reference = test::reference_json(file);
    for (const nlohmann::json& entry : reference.at("cases")) {
      for (const auto& [name, wanted] : entry.at("expected").items()) EXPECT_TRUE(known.contains(name)) << name;
    }
  }
}

TEST(ConversationsFile, PromptsEqualTheOriginals) {
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
  const std::vector<std::string> answers = {"a",     "  b",       "\n\nc\n", "USER: d", "ASSISTANT:", "e ASSISTANT: f",
                                            "</s>g", "<image> h", "\u2581i", "🙂",    "1",          "<|endoftext|>"};
  for (const Variant& variant : chat_variants()) {
    const auto tokenizer = reference_tokenizer(variant.tokenizer);
    for (const std::string& answer : answers) {
      SCOPED_TRACE(variant_name(variant) + " " + answer);
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
  const auto tokenizer = reference_tokenizer("llama2_style");
  const std::vector<Message> messages = {{"human", "<image>\nq"}, {"gpt", "one two three"}};
  ConversationOptions options{.has_image = true};
  const EncodedConversation whole = encode_conversation(*tokenizer, messages, options);
  options.max_tokens = whole.input_ids.size() - 2;
  const EncodedConversation cut = encode_conversation(*tokenizer, messages, options);
  EXPECT_EQ(cut.input_ids.size(), options.max_tokens);
  EXPECT_TRUE(std::equal(cut.labels.begin(), cut.labels.end(), whole.labels.begin()));
}

TEST(Conversation, PromptIsThePrefixOfTheTrainingSample) {
  const auto tokenizer = reference_tokenizer("llama3_style");
  const std::vector<Message> question = {{"human", "<image>\nWhat is this?"}};
  std::vector<Message> answered = question;
  answered.push_back({"gpt", "A cat."});
  const std::string prompt = render_prompt(question, TemplateKind::kLlama);
  const std::vector<std::int64_t> ids = encode_prompt(*tokenizer, prompt);
  const EncodedConversation sample =
      encode_conversation(*tokenizer, answered, {.kind = TemplateKind::kLlama, .has_image = true});
  EXPECT_TRUE(sample.prompt.starts_with(prompt));
  EXPECT_EQ(ids.front(), tokenizer->bos_id());
  EXPECT_EQ(std::count(ids.begin(), ids.end(), kImageToken), 1);
  ASSERT_LT(ids.size(), sample.input_ids.size());
  EXPECT_TRUE(std::equal(ids.begin(), ids.end(), sample.input_ids.begin()));
  EXPECT_NE(sample.labels[ids.size()], kIgnoreLabel);
  EXPECT_EQ(sample.labels[ids.size() - 1], kIgnoreLabel);
}

TEST(Conversation, EncodesSeveralImagesAndNone) {
  const auto phi3 = reference_tokenizer("phi3");
  EXPECT_EQ(encode_prompt(*phi3, "<image><image>"), (std::vector<std::int64_t>{kImageToken, kImageToken}));
  EXPECT_EQ(encode_prompt(*phi3, ""), std::vector<std::int64_t>{});
  const auto llama2 = reference_tokenizer("llama2_style");
  EXPECT_EQ(encode_prompt(*llama2, ""), std::vector<std::int64_t>{1});
  EXPECT_EQ(encode_prompt(*llama2, "<image>"), (std::vector<std::int64_t>{1, kImageToken}));
}

TEST(Conversation, SaysWhichMessageIsWrong) {
  const auto tokenizer = reference_tokenizer("llama2_style");
  const auto refusal = [&](const std::vector<Message>& messages, TemplateKind kind = TemplateKind::kVicunaV1) {
    return complaint([&] { encode_conversation(*tokenizer, messages, {.kind = kind}); });
  };
  using testing::HasSubstr;
  EXPECT_THAT(refusal({}), HasSubstr("without messages"));
  EXPECT_THAT(refusal({{"gpt", "hi"}}), HasSubstr("without a question"));
  EXPECT_THAT(refusal({{"human", "a"}, {"system", "b"}}),
              HasSubstr("message 2 (from 'system'): the turn is out of order"));
  EXPECT_THAT(refusal({{"human", "a"}, {"robot", "b"}}), HasSubstr("message 2 (from 'robot'): unknown role"));
  EXPECT_THAT(refusal({{"system", "a"}}), HasSubstr("a system text without a conversation"));
  EXPECT_THAT(refusal({{"system", "a"}, {"gpt", "b"}}), HasSubstr("an answer without a question"));
  EXPECT_THAT(refusal({{"system", "<image> a"}, {"human", "b"}, {"gpt", "c"}}),
              HasSubstr("<image> in the system text"));
  EXPECT_THAT(refusal({{"system", "a"}, {"human", "<image>"}, {"gpt", "b"}}, TemplateKind::kPlain),
              HasSubstr("has no system text"));
  EXPECT_THAT(refusal({{"human", "a"}, {"human", "b"}}),
              HasSubstr("message 2 (from 'human'): the turn is out of order"));
  EXPECT_THAT(refusal({{"gpt", "a"}, {"gpt", "b"}}), HasSubstr("message 2 (from 'gpt'): the turn is out of order"));
  EXPECT_THAT(refusal({{"human", "<image>"}}, TemplateKind::kPlain), HasSubstr("1 messages instead of two"));
  EXPECT_THAT(refusal({{"human", "a"}, {"gpt", "b"}}, TemplateKind::kPlain), HasSubstr("no <image>"));
  EXPECT_THAT(complaint([] {
                render_prompt({{"human", "a"}, {"gpt", "b"}}, TemplateKind::kPhi3);
              }),
              HasSubstr("ends with an answer"));
  EXPECT_THAT(complaint([] { render_prompt({}, TemplateKind::kPhi3); }), HasSubstr("without messages"));
}

// The system text is the conversation's own, is not learned, and changes nothing after it.
TEST(Conversation, ALeadingSystemTurnTakesThePlaceOfTheTemplatesText) {
  const std::vector<Message> turns = {{"human", "q"}, {"gpt", "Fine."}, {"human", "r"}, {"gpt", "Yes."}};
  std::vector<Message> told = turns;
  told.insert(told.begin(), {"system", "Be brief."});
  for (const Variant& variant : chat_variants()) {
    SCOPED_TRACE(variant_name(variant));
    const auto tokenizer = reference_tokenizer(variant.tokenizer);
    const EncodedConversation usual = encode_conversation(*tokenizer, turns, {.kind = variant.kind});
    const EncodedConversation own = encode_conversation(*tokenizer, told, {.kind = variant.kind});
    expect_wellformed(own);
    EXPECT_TRUE(own.prompt.starts_with("Be brief. USER: q ASSISTANT: Fine."));
    EXPECT_EQ(learned_text(*tokenizer, own), learned_text(*tokenizer, usual));
    EXPECT_EQ(learned_text(*tokenizer, own), answers_with_stop({"Fine.", "Yes."}, variant.kind));
    const std::vector<Message> asked(told.begin(), told.begin() + 2);
    EXPECT_TRUE(own.prompt.starts_with(render_prompt(asked, variant.kind)));
    // An empty one says nothing.
    told[0].value = " ";
    EXPECT_EQ(encode_conversation(*tokenizer, told, {.kind = variant.kind}).input_ids, usual.input_ids);
    told[0].value = "Be brief.";
  }
}

TEST(Conversation, RolesHaveTwoNames) {
  EXPECT_EQ(parse_role("human"), Role::kHuman);
  EXPECT_EQ(parse_role("user"), Role::kHuman);
  EXPECT_EQ(parse_role("gpt"), Role::kAssistant);
  EXPECT_EQ(parse_role("assistant"), Role::kAssistant);
  EXPECT_EQ(parse_role("system"), Role::kSystem);
  EXPECT_EQ(parse_role("User"), std::nullopt);
  EXPECT_EQ(first_question({{"system", "s"}, {"assistant", "hi"}, {"user", "q"}}), 2U);
  EXPECT_EQ(first_question({{"user", "q"}}), 0U);
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
