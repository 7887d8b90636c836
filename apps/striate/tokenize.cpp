// striate tokenize: JSON lines of text to JSON lines of token ids.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/striate/command.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/token_lines.h"

namespace striate::app {
namespace {

constexpr std::size_t kReadAtOnce = std::size_t{1} << 20;
constexpr std::size_t kLongestLine = std::size_t{1} << 30;

struct TokenizeFlags {
  std::string tokenizer;
  bool bos = false;
  bool legacy = false;
  bool json = false;
};

// Whatever has arrived on standard input, at most kReadAtOnce bytes; nothing at its end.
std::string read_some() {
  std::string block(kReadAtOnce, '\0');
  while (true) {
    const ssize_t count = ::read(STDIN_FILENO, block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      throw resource_error(cat("standard input: ", std::strerror(errno)),
                           "check that standard input is open for reading");
    block.resize(static_cast<std::size_t>(count));
    return block;
  }
}

// Answers every line as soon as it is complete: what has arrived is encoded and printed before more is read.
void tokenize_lines(const TokenLines& tokenizer) {
  std::string pending;
  std::size_t number = 1;
  while (true) {
    const std::size_t searched = pending.size();
    const std::string block = read_some();
    const bool ended = block.empty();
    pending += block;
    std::vector<std::string_view> lines;
    std::size_t begin = 0;
    for (std::size_t end = pending.find('\n', searched); end != std::string::npos; end = pending.find('\n', begin)) {
      lines.push_back(std::string_view(pending).substr(begin, end - begin));
      begin = end + 1;
    }
    if (ended && begin < pending.size()) lines.push_back(std::string_view(pending).substr(begin));
    if (!lines.empty()) tokenizer.encode(lines, number, [](const std::string& encoded) { std::cout << encoded; });
    std::cout.flush();
    if (!std::cout) return;  // nothing more can be written: main says why
    number += lines.size();
    if (ended) return;
    pending.erase(0, begin);
    if (pending.size() > kLongestLine) {
      throw invalid_input(cat("standard input, line ", number, ": longer than ", human_bytes(kLongestLine)),
                          "put one text on each line");
    }
  }
}

void run_tokenize(const TokenizeFlags& flags) {
  TokenizeRequest request;
  request.tokenizer = flags.tokenizer;
  request.bos = flags.bos;
  request.legacy = flags.legacy;
  tokenize_lines(TokenLines(request));
}

}  // namespace

void add_tokenize(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<TokenizeFlags>();
  CLI::App* command = app.add_subcommand("tokenize", "Turn JSON lines of text into token ids");
  command
      ->add_option("--tokenizer", flags->tokenizer,
                   "Folder of a model, or a tokenizer.model or tokenizer.json (also .gz)")
      ->required();
  command->add_flag("--bos", flags->bos, "Put the beginning-of-sequence token before each text");
  command->add_flag("--legacy", flags->legacy,
                    "Tokenize as Hugging Face's LlamaTokenizer with legacy=True (sentencepiece only)");
  command->add_flag("--json", flags->json,
                    "Print JSON lines, which is the only format; the flag is for scripts that always give it");
  command->footer(example("echo '{\"text\": \"Hello world\"}' | striate tokenize --tokenizer llava-1.5-7b"));
  command->callback([flags, &run] { run.action = [flags] { run_tokenize(*flags); }; });
}

}  // namespace striate::app
