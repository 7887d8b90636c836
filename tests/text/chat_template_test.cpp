// Templates as Jinja texts. That Jinja renders them to the prompts of `striate chat`: tests/peers/test_gguf.py.
#include "striate/text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace striate {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(ChatTemplate, HoldsTheSystemTextTheRolesAndTheStopOfItsFamily) {
  for (const auto& [kind, stop] :
       {std::pair(TemplateKind::kVicunaV1, "</s>"), std::pair(TemplateKind::kLlama, "<|end_of_text|>"),
        std::pair(TemplateKind::kPhi3, "<|endoftext|>")}) {
    EXPECT_THAT(jinja_template(kind),
                AllOf(HasSubstr("{{ \"A chat between a curious user"), HasSubstr("the user's questions. \" }}"),
                      HasSubstr("{{ \"USER: \" + message['content'] }}"),
                      HasSubstr("{{ \" ASSISTANT: \" + message['content'] + \"" + std::string(stop) + "\" }}"),
                      HasSubstr("{% if add_generation_prompt %}{{ \" ASSISTANT:\" }}{% endif %}")))
        << template_name(kind);
  }
}

TEST(ChatTemplate, AnEmptySystemMessageLeavesTheTemplatesOwnAsInPrompts) {
  for (const TemplateKind kind :
       {TemplateKind::kVicunaV1, TemplateKind::kBunny, TemplateKind::kLlama, TemplateKind::kPhi3}) {
    EXPECT_EQ(render_prompt({{"system", " \n"}, {"human", "q"}}, kind), render_prompt({{"human", "q"}}, kind))
        << template_name(kind);
    EXPECT_THAT(jinja_template(kind),
                testing::StartsWith("{% if messages[0]['role'] == 'system' and messages[0]['content'] | trim %}"
                                    "{{ messages[0]['content'] + ' ' }}{% else %}"))
        << template_name(kind);
  }
}

TEST(ChatTemplate, APlainTemplateIsTheMessagesThemselves) {
  EXPECT_EQ(jinja_template(TemplateKind::kPlain), "{% for message in messages %}{{ message['content'] }}{% endfor %}");
}

}  // namespace
}  // namespace striate
