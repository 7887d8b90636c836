#include "support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <typeinfo>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate::fuzz {
namespace {

constexpr std::size_t kLongestMessage = 2000;
constexpr std::string_view kSectionMark = "=== ";
// What other libraries' exceptions say, and no message of ours.
constexpr const char* kForeignWords[] = {
    "json.exception", "basic_string", "std::", "filesystem error", "vector::", "stoi", "stoll", "bad_alloc", "c10::"};

// Character by character: the fuzzer follows calls of memcmp() and its kind, and would try these words.
bool has(std::string_view text, std::string_view word) {
  return std::search(text.begin(), text.end(), word.begin(), word.end()) != text.end();
}

void check_text(const std::string& text, const std::string& what, std::string_view input) {
  if (text.empty()) found(what + " is empty");
  if (text.size() > kLongestMessage) found(what + " has " + std::to_string(text.size()) + " bytes");
  if (text != printable(text)) found(what + " is not one printable line: " + text);
  for (const char* word : kForeignWords) {
    if (has(text, word) && !has(input, word)) found(what + " has an exception's text: " + text);
  }
}

void check_error(const Error& error, std::string_view input) {
  const std::string message = error.what();
  if (error.exit_code() != 2) found("an error that does not blame the input: " + message);
  check_text(message, "the message", input);
  if (error.hint().empty()) found("an error without a hint: " + message);
  check_text(error.hint(), "the hint", input);
}

}  // namespace

void found(const std::string& why) {
  std::fprintf(stderr, "FOUND: %s\n", why.c_str());
  std::abort();
}

void read_or_refuse(std::string_view input, const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    check_error(error, input);
  } catch (const std::exception& error) {
    found(std::string("an exception that is no Error of ours: ") + typeid(error).name() + ": " + error.what());
  }
}

Folder::Folder(const std::string& name) {
  const char* root = std::getenv("TMPDIR");
  path_ = std::filesystem::path(root != nullptr ? root : "/tmp") / (name + "-" + std::to_string(::getpid()));
  std::filesystem::create_directories(path_);
}

std::filesystem::path Folder::put(const std::string& name, std::string_view bytes) {
  std::filesystem::path path = path_ / name;
  // A new file each time: one that is mapped must not change.
  ::unlink(path.c_str());
  const int descriptor = ::open(path.c_str(), O_CREAT | O_WRONLY | O_EXCL, 0600);
  if (descriptor < 0) found("cannot make " + path.string());
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t wrote = ::write(descriptor, bytes.data() + done, bytes.size() - done);
    if (wrote <= 0) found("cannot write " + path.string());
    done += static_cast<std::size_t>(wrote);
  }
  ::close(descriptor);
  files_.insert(name);
  return path;
}

void Folder::remove_files() {
  for (const std::string& name : files_) ::unlink((path_ / name).c_str());
  files_.clear();
}

std::set<std::string> Folder::unpack(std::string_view input, const std::set<std::string>& allowed) {
  remove_files();
  for (const auto& [name, bytes] : sections(input)) {
    if (allowed.contains(name)) put(name, bytes);
  }
  return files_;
}

std::map<std::string, std::string_view> sections(std::string_view input) {
  std::map<std::string, std::string_view> found;
  std::size_t at = input.starts_with(kSectionMark) ? 0 : input.find("\n=== ");
  while (at != std::string_view::npos) {
    const std::size_t name_at = at + kSectionMark.size() + (input[at] == '\n' ? 1 : 0);
    const std::size_t line_end = input.find('\n', name_at);
    if (line_end == std::string_view::npos) break;
    const std::size_t next = input.find("\n=== ", line_end);
    const std::size_t end = next == std::string_view::npos ? input.size() : next;
    const std::size_t begin = std::min(line_end + 1, end);
    found[std::string(input.substr(name_at, line_end - name_at))] = input.substr(begin, end - begin);
    at = next;
  }
  return found;
}

}  // namespace striate::fuzz
