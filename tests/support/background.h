// A program that runs beside the test.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {

// Killed when the object goes.
class Background {
 public:
  Background(const std::vector<std::string>& arguments, const std::map<std::string, std::string>& environment = {}) {
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::dup2(::open((folder_.path() / "out").c_str(), O_WRONLY | O_CREAT, 0600), STDOUT_FILENO);
    ::dup2(::open((folder_.path() / "err").c_str(), O_WRONLY | O_CREAT, 0600), STDERR_FILENO);
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> raw;
    for (const std::string& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);
    ::execvp(raw[0], raw.data());
    ::_exit(127);
  }
  ~Background() {
    if (waited_) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  void send(int signal) const { ::kill(pid_, signal); }
  bool ended() {
    if (!waited_ && ::waitpid(pid_, &status_, WNOHANG) == pid_) waited_ = true;
    return waited_;
  }
  CommandResult wait() {
    if (!waited_) ::waitpid(pid_, &status_, 0);
    waited_ = true;
    const int code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
    return {code, read("out"), read("err")};
  }
  // Until `reached` or the program's end.
  void wait_until(const std::function<bool()>& reached) {
    while (!reached() && !ended()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }

 private:
  std::string read(const char* name) const {
    std::ifstream file(folder_.path() / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TemporaryFolder folder_;
  pid_t pid_ = -1;
  bool waited_ = false;
  int status_ = 0;
};

}  // namespace striate::test
