#include "striate/text/chat_template.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

// What stands around questions and answers.
struct Pieces {
  std::string system;           // with what separates it from the first turn
  std::string before_question;  // "USER: "
  std::string before_answer;    // " ASSISTANT: "
  std::string after_answer;     // "</s>"
  std::string open_turn;        // " ASSISTANT:"
};

// Read off a prompt, so that the two cannot differ.
Pieces pieces_of(TemplateKind kind) {
  constexpr const char* kQuestion = "\x01";
  constexpr const char* kAnswer = "\x02";
  constexpr const char* kNext = "\x03";
  const std::string prompt = render_prompt({{"human", kQuestion}, {"gpt", kAnswer}, {"human", kNext}}, kind);
  const std::size_t question = prompt.find(kQuestion);
  const std::size_t answer = prompt.find(kAnswer);
  const std::size_t next = prompt.find(kNext);
  Pieces pieces;
  pieces.after_answer = stop_string(kind);
  pieces.before_answer = prompt.substr(question + 1, answer - question - 1);
  pieces.open_turn = prompt.substr(next + 1);
  const std::string between = prompt.substr(answer + 1, next - answer - 1);
  if (!between.starts_with(pieces.after_answer)) throw internal_error("an answer does not end with its stop string");
  pieces.before_question = between.substr(pieces.after_answer.size());
  pieces.system = prompt.substr(0, question - pieces.before_question.size());
  return pieces;
}

// A Jinja string; no template's text holds a double quote, a backslash or a line break.
std::string quoted(const std::string& text) {
  if (text.find_first_of("\"\\\n") != std::string::npos) throw internal_error("a template text that needs escapes");
  return cat("\"", text, "\"");
}

}  // namespace

std::string jinja_template(TemplateKind kind) {
  if (kind == TemplateKind::kPlain) return "{% for message in messages %}{{ message['content'] }}{% endfor %}";
  const Pieces p = pieces_of(kind);
  // An empty system message leaves the template's own text, as in render_prompt().
  return cat("{% if messages[0]['role'] == 'system' and messages[0]['content'] | trim %}",
             "{{ messages[0]['content'] + ' ' }}{% else %}{{ ", quoted(p.system),
             " }}{% endif %}{% for message in messages %}{% if message['role'] == 'user' %}{{ ",
             quoted(p.before_question), " + message['content'] }}{% elif message['role'] == 'assistant' %}{{ ",
             quoted(p.before_answer), " + message['content'] + ", quoted(p.after_answer),
             " }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ ", quoted(p.open_turn), " }}{% endif %}");
}

}  // namespace striate
