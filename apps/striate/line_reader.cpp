#include "apps/striate/line_reader.h"

#include <histedit.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

namespace striate::app {

struct LineReader::Editor {
  EditLine* line = nullptr;
  History* history = nullptr;
  HistEvent event{};
  std::string prompt;

  static char* show_prompt(EditLine* line) {
    Editor* self = nullptr;
    el_get(line, EL_CLIENTDATA, &self);
    return self->prompt.data();
  }
};

LineReader::LineReader() {
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) return;
  constexpr int kRemembered = 1000;
  editor_ = std::make_unique<Editor>();
  editor_->line = el_init("striate", stdin, stdout, stderr);
  editor_->history = history_init();
  history(editor_->history, &editor_->event, H_SETSIZE, kRemembered);
  el_set(editor_->line, EL_CLIENTDATA, editor_.get());
  el_set(editor_->line, EL_PROMPT, Editor::show_prompt);
  el_set(editor_->line, EL_EDITOR, "emacs");
  el_set(editor_->line, EL_SIGNAL, 1);
  el_set(editor_->line, EL_HIST, history, editor_->history);
}

LineReader::~LineReader() {
  if (!editor_) return;
  el_end(editor_->line);
  history_end(editor_->history);
}

std::optional<std::string> LineReader::read(const std::string& prompt) {
  std::cout.flush();  // the editor writes past it
  std::string text;
  if (!editor_) {
    if (!std::getline(std::cin, text)) return std::nullopt;
    return text;
  }
  editor_->prompt = prompt;
  int length = 0;
  const char* line = el_gets(editor_->line, &length);
  if (line == nullptr || length <= 0) return std::nullopt;
  text.assign(line, static_cast<std::size_t>(length));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (!text.empty()) history(editor_->history, &editor_->event, H_ENTER, text.c_str());
  return text;
}

}  // namespace striate::app
