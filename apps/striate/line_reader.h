// Lines from a person (with editing and history) or from a pipe.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace striate::app {

class LineReader {
 public:
  LineReader();
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;
  // The next line without its end; nullopt at the end of input. The prompt is shown on a terminal only.
  std::optional<std::string> read(const std::string& prompt);

 private:
  struct Editor;
  std::unique_ptr<Editor> editor_;  // only on a terminal
};

}  // namespace striate::app
