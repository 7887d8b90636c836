#include "apps/striate/cell_processes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/output_file.h"
#include "striate/base/output_path.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/cuda/gpu_list.h"

extern char** environ;

namespace striate::app {
namespace {

constexpr std::chrono::milliseconds kLook{20};

// The environment of this process with some variables set anew.
std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& set) {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    const auto named = [&](const auto& one) { return text.starts_with(one.first + "="); };
    if (std::none_of(set.begin(), set.end(), named)) variables.push_back(text);
  }
  for (const auto& [name, value] : set) variables.push_back(cat(name, "=", value));
  return variables;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// In a group of its own: an interrupt from the terminal reaches the study alone, which passes it on once.
pid_t spawn(std::vector<std::string> arguments, std::vector<std::string> variables, int log) {
  const std::vector<char*> argv = pointers_to(arguments), envp = pointers_to(variables);
  const pid_t parent = ::getpid();
  const pid_t process = ::fork();
  if (process < 0) throw resource_error(cat("no process could be started: ", std::strerror(errno)), "try fewer jobs");
  if (process > 0) return process;
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  ::execve("/proc/self/exe", argv.data(), envp.data());
  ::_exit(127);
}

// Why a process ended, from its status and the last error line that it printed.
std::string reason_of(int status, const std::string& printed) {
  std::string error;
  for (const std::string& line : split(printed, '\n')) {
    if (line.starts_with("error: ")) error = line.substr(7);
    if (line.starts_with("hint: ") && !error.empty()) error += cat(" (", line.substr(6), ")");
  }
  if (!error.empty()) return error;
  if (WIFSIGNALED(status)) return cat("its process was ended by signal ", WTERMSIG(status));
  return cat("its process ended with status ", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

std::string printed_since(const std::filesystem::path& log, std::uint64_t begin) {
  const std::string text = read_file(log, std::uint64_t{1} << 32);
  return begin < text.size() ? text.substr(begin) : std::string();
}

}  // namespace

std::vector<std::string> visible_gpus() {
  if (const char* given = std::getenv("CUDA_VISIBLE_DEVICES")) {
    std::vector<std::string> names = split(given, ',');
    std::erase(names, "");
    return names;
  }
  std::vector<std::string> names;
  const std::size_t count = cuda::list_gpus().size();
  for (std::size_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

void CellProcesses::start(const study::Study& study, std::size_t cell, int slot) {
  const study::Cell& started = study.cells[cell];
  const OutputPath place = OutputPath::inside(study.folder.root(), cat("logs/", started.id, ".txt"));
  AppendFile(place).append("");  // makes it
  const std::filesystem::path log = place.path();
  const int descriptor = ::open(log.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (descriptor < 0) throw resource_error(cat(log.string(), ": ", std::strerror(errno)), "check the disk");
  std::vector<std::pair<std::string, std::string>> set = {{"OMP_NUM_THREADS", std::to_string(threads_)}};
  if (!gpus_.empty()) set.emplace_back("CUDA_VISIBLE_DEVICES", gpus_[static_cast<std::size_t>(slot) % gpus_.size()]);
  const std::uint64_t begin = file_size_of(log);
  pid_t process = 0;
  try {
    process = spawn({"striate", "study", "cell", started.id, "--out", study.folder.root().string()},
                    environment_with(set), descriptor);
  } catch (...) {
    ::close(descriptor);
    throw;
  }
  ::close(descriptor);
  running_.push_back({process, cell, log, begin});
}

std::optional<study::EndedCell> CellProcesses::wait() {
  for (std::size_t i = 0; i < running_.size(); ++i) {
    int status = 0;
    const pid_t ended = ::waitpid(running_[i].process, &status, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR)) continue;
    const Running running = running_[i];
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
    const bool well = ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    study::EndedCell told{running.cell, well, {}};
    if (!well) told.reason = reason_of(status, printed_since(running.log, running.log_begin));
    return told;
  }
  std::this_thread::sleep_for(kLook);
  return std::nullopt;
}

void CellProcesses::stop() {
  for (const Running& running : running_) ::kill(running.process, SIGTERM);
}

}  // namespace striate::app
