// striate tokenize: JSON lines of text to JSON lines of token ids.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "apps/striate/command.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/tokenizer.h"

namespace striate::app {
namespace {

constexpr std::size_t kReadAtOnce = std::size_t{1} << 20;
constexpr std::size_t kLongestLine = std::size_t{1} << 30;
constexpr std::size_t kFewLines = 64;  // not worth a thread

struct TokenizeFlags {
  std::string tokenizer;
  bool bos = false;
  bool legacy = false;
  bool json = false;
};

// A run of lines, encoded: what to print, and what stopped it.
struct Encoded {
  std::string out;
  std::exception_ptr failure;
};

// The text as a JSON string, in UTF-8 save for the characters that some readers take for the end of a line.
std::string json_line_string(const std::string& text) {
  static constexpr std::pair<std::string_view, std::string_view> kLineEnds[] = {
      {"\xC2\x85", "\\u0085"}, {"\xE2\x80\xA8", "\\u2028"}, {"\xE2\x80\xA9", "\\u2029"}};
  std::string out = nlohmann::json(text).dump();
  for (const auto& [character, escape] : kLineEnds) {
    for (std::size_t at = 0; (at = out.find(character, at)) != std::string::npos; at += escape.size()) {
      out.replace(at, character.size(), escape);
    }
  }
  return out;
}

std::string encode_line(const Tokenizer& tokenizer, std::string_view line, std::size_t number, bool bos) {
  const std::string where = cat("standard input, line ", number);
  const nlohmann::json parsed = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
  const char* const hint = "every line must be a JSON object such as {\"text\": \"Hello\"}";
  if (parsed.is_discarded()) throw invalid_input(where + ": not valid JSON", hint);
  if (!parsed.is_object()) throw invalid_input(cat(where, ": ", parsed.type_name(), " instead of an object"), hint);
  const auto text = parsed.find("text");
  if (text == parsed.end()) throw invalid_input(where + ": no \"text\"", hint);
  if (!text->is_string()) throw invalid_input(cat(where, ": \"text\" is ", text->type_name(), ", not a string"), hint);
  EncodeOptions options;
  options.add_bos = bos;
  const std::vector<std::int64_t> ids = tokenizer.encode(text->get_ref<const std::string&>(), options);
  std::string out = "{\"ids\": [";
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out += ", ";
    out += std::to_string(ids[i]);
  }
  out += "], \"text\": ";
  out += json_line_string(to_valid_utf8(tokenizer.decode(ids)));
  return out += "}\n";
}

Encoded encode_lines(const Tokenizer& tokenizer, const std::vector<std::string_view>& lines, std::size_t from,
                     std::size_t to, std::size_t first_number, bool bos) {
  Encoded encoded;
  try {
    for (std::size_t i = from; i < to; ++i) encoded.out += encode_line(tokenizer, lines[i], first_number + i, bos);
  } catch (...) {
    encoded.failure = std::current_exception();
  }
  return encoded;
}

// Prints the lines' results in order, the work shared among the processor's cores. Throws what a line threw, after
// printing the lines before it.
void print_lines(const Tokenizer& tokenizer, const std::vector<std::string_view>& lines, std::size_t first_number,
                 bool bos) {
  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
  const std::size_t shares = std::clamp<std::size_t>(lines.size() / kFewLines, 1, cores);
  std::vector<Encoded> results(shares);
  const auto work = [&](std::size_t share) {
    const std::size_t from = lines.size() * share / shares;
    const std::size_t to = lines.size() * (share + 1) / shares;
    results[share] = encode_lines(tokenizer, lines, from, to, first_number, bos);
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t share = 1; share < shares; ++share) threads.emplace_back(work, share);
    work(0);
  }
  for (const Encoded& result : results) {
    std::cout << result.out;
    if (result.failure) std::rethrow_exception(result.failure);
  }
  std::cout.flush();
  if (!std::cout) throw resource_error("standard output: cannot write", "is the disk full or the reader gone?");
}

// Whatever has arrived on standard input, at most kReadAtOnce bytes; nothing at its end.
std::string read_some() {
  std::string block(kReadAtOnce, '\0');
  while (true) {
    const ssize_t count = ::read(STDIN_FILENO, block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw resource_error(cat("standard input: ", std::strerror(errno)), "is it open for reading?");
    block.resize(static_cast<std::size_t>(count));
    return block;
  }
}

// Answers every line as soon as it is complete: what has arrived is encoded and printed before more is read.
void tokenize_lines(const Tokenizer& tokenizer, bool bos) {
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
    if (!lines.empty()) print_lines(tokenizer, lines, number, bos);
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
  TokenizerOptions options;
  options.legacy = flags.legacy;
  const std::shared_ptr<const Tokenizer> tokenizer = load_tokenizer(flags.tokenizer, options);
  if (flags.legacy && !tokenizer->description().starts_with("sentencepiece")) {
    throw invalid_input(cat("--legacy: ", flags.tokenizer, " is ", tokenizer->description()),
                        "--legacy is for a sentencepiece tokenizer.model; leave it out");
  }
  tokenize_lines(*tokenizer, flags.bos);
}

}  // namespace

void add_tokenize(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<TokenizeFlags>();
  CLI::App* command = app.add_subcommand("tokenize", "Turn JSON lines of text into token ids");
  command
      ->add_option("--tokenizer", flags->tokenizer,
                   "A model's folder, or a tokenizer.model or tokenizer.json (also .gz)")
      ->required();
  command->add_flag("--bos", flags->bos, "Put the model's first token before each text");
  command->add_flag("--legacy", flags->legacy, "sentencepiece: as Hugging Face's LlamaTokenizer with legacy=True");
  command->add_flag("--json", flags->json, "JSON lines out (there is no other form; for scripts that always ask)");
  command->footer(example("echo '{\"text\": \"Hello world\"}' | striate tokenize --tokenizer llava-1.5-7b"));
  command->callback([flags, &run] { run.action = [flags] { run_tokenize(*flags); }; });
}

}  // namespace striate::app
