#include "striate/answers/prompts.h"

#include "striate/base/strings.h"

namespace striate {

PromptRule plain_prompt(std::string_view before, std::string_view after) {
  return [before = std::string(before), after = std::string(after)](const Question& question, const QuestionSet&) {
    return before + question.text + after;
  };
}

std::string lettered_options(const Question& question) {
  std::string out;
  for (std::size_t i = 0; i < question.options.size() && i < 26; ++i) {
    out += cat("\n", static_cast<char>('A' + i), ". ", question.options[i]);
  }
  return out;
}

std::string lettered_options_of_pandas(const Question& question, bool stops_at_missing) {
  std::string out;
  for (std::size_t i = 0; i < question.options.size() && i < 26; ++i) {
    if (is_missing_option(question, i) && stops_at_missing) break;
    if (is_missing_option(question, i)) continue;
    out += cat("\n", static_cast<char>('A' + i), ". ", question.options[i]);
  }
  return out;
}

PromptRule llava_choice_prompt() {
  return [](const Question& question, const QuestionSet&) {
    const std::string hint = question.hint.empty() ? "" : question.hint + "\n";
    return cat(question.pictures.empty() ? "" : kImageLine, hint, question.text,
               lettered_options_of_pandas(question, true), kLetterDirectly);
  };
}

PromptRule vlmevalkit_choice_prompt() {
  return [](const Question& question, const QuestionSet&) {
    const std::string hint = question.hint.empty() ? "" : question.hint + "\n";
    return cat(question.pictures.empty() ? "" : " <image> ", hint, question.text,
               lettered_options_of_pandas(question, false), kLetterDirectly);
  };
}

PromptRule vlmevalkit_prompt(std::string_view after) {
  return plain_prompt(" <image> ", after);
}

std::function<Judgement(const Question&, const std::string&)> judge_by(std::string_view rule) {
  return [judge = scoring_rule(rule).judge](const Question& question, const std::string& text) {
    return judge(question, text);
  };
}

Protocol text_protocol(TextProtocol given) {
  Protocol protocol;
  protocol.name = std::move(given.name);
  protocol.asking = std::move(given.asking);
  protocol.prompt_rule = std::move(given.prompt_rule);
  protocol.decoding.max_tokens = given.max_tokens;
  protocol.prompt = std::move(given.prompt);
  protocol.judge = judge_by(given.rule);
  protocol.scoring = cat(given.rule, ": ", scoring_rule(given.rule).does);
  if (protocol.name == "vlmevalkit") protocol.after_assistant = " ";
  return protocol;
}

Protocol renamed(Protocol protocol, std::string name, std::vector<std::string> notes) {
  protocol.name = std::move(name);
  protocol.notes = std::move(notes);
  return protocol;
}

Protocol rescored(Protocol protocol, std::string name, std::string_view rule) {
  protocol.name = std::move(name);
  protocol.judge = judge_by(rule);
  protocol.scoring = cat(std::string(rule), ": ", scoring_rule(rule).does);
  protocol.notes.clear();
  protocol.missing_is_wrong = false;
  return protocol;
}

}  // namespace striate
