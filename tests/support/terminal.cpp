#include "tests/support/terminal.h"

#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>

namespace striate::test {

std::vector<std::string> lines_on_terminal(std::string_view written, std::size_t columns) {
  constexpr std::string_view kWipe = "\033[K";
  std::vector<std::string> lines = {""};
  std::size_t column = 0;
  while (!written.empty()) {
    const char c = written.front();
    std::size_t taken = 1;
    if (c == '\r') {
      column = 0;
    } else if (c == '\n') {
      lines.emplace_back();
      column = 0;
    } else if (written.starts_with(kWipe)) {
      lines.back().resize(column);
      taken = kWipe.size();
    } else {
      if (column == columns) {
        lines.emplace_back();
        column = 0;
      }
      if (lines.back().size() <= column) lines.back().resize(column + 1, ' ');
      lines.back()[column++] = c;
    }
    written.remove_prefix(taken);
  }
  return lines;
}

bool has_terminals() {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0) return false;
  ::close(terminal);
  return true;
}

TerminalResult run_on_terminal(const std::vector<std::string>& arguments, std::size_t columns) {
  winsize size{};
  size.ws_col = static_cast<unsigned short>(columns);
  size.ws_row = 24;
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, &size);
  if (child < 0) throw std::runtime_error("forkpty failed");
  if (child == 0) {
    ::setenv("TERM", "xterm", 1);
    std::vector<char*> raw;
    for (const std::string& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);
    ::execvp(raw[0], raw.data());
    ::_exit(127);
  }
  TerminalResult result{0, {}};
  std::array<char, 4096> block{};
  while (true) {
    const ssize_t count = ::read(terminal, block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;  // EIO: the program ended
    result.written.append(block.data(), static_cast<std::size_t>(count));
  }
  ::close(terminal);
  int status = 0;
  ::waitpid(child, &status, 0);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace striate::test
