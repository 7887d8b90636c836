#include "striate/text/added_tokens.h"

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/regex.h"
#include "striate/text/utf8.h"

namespace striate {
namespace {

// Where the character before `end` begins.
std::size_t character_before(std::string_view text, std::size_t end) {
  std::size_t begin = end - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return begin;
}

// Rust's \w: Alphabetic (letters, letter numbers, marks, circled letters), marks, digits, connectors, joiners.
bool is_word_character(std::string_view character) {
  static const Regex word(R"(^[\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149})"
                          R"(\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}]$)",
                          "added tokens");
  return !word.find_all(character).empty();
}

bool touches_word(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0) {
    const std::size_t before = character_before(text, begin);
    if (is_word_character(text.substr(before, begin - before))) return true;
  }
  return end < text.size() && is_word_character(text.substr(end, utf8_at(text, end).size));
}

std::size_t skip_spaces_back(std::string_view text, std::size_t begin) {
  while (begin > 0) {
    const std::size_t before = character_before(text, begin);
    if (!is_white_space(utf8_at(text, before).code)) break;
    begin = before;
  }
  return begin;
}

std::size_t skip_spaces(std::string_view text, std::size_t end) {
  while (end < text.size()) {
    const Utf8Character next = utf8_at(text, end);
    if (!is_white_space(next.code)) break;
    end += next.size;
  }
  return end;
}

}  // namespace

StringMatcher::StringMatcher(const std::vector<std::string>& patterns) : nodes_(1) {
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    if (patterns[i].empty()) continue;
    first_[static_cast<unsigned char>(patterns[i][0])] = true;
    std::size_t node = 0;
    for (const char c : patterns[i]) {
      const auto [slot, added] = nodes_[node].next.try_emplace(static_cast<unsigned char>(c), nodes_.size());
      node = slot->second;
      if (added) nodes_.emplace_back();
    }
    nodes_[node].index = i;
  }
}

std::optional<StringMatcher::Match> StringMatcher::match_at(std::string_view text, std::size_t at) const {
  std::optional<Match> longest;
  std::size_t node = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    const auto next = nodes_[node].next.find(static_cast<unsigned char>(text[i]));
    if (next == nodes_[node].next.end()) break;
    node = next->second;
    if (nodes_[node].index) longest = Match{at, i + 1, *nodes_[node].index};
  }
  return longest;
}

std::vector<StringMatcher::Match> StringMatcher::find_all(std::string_view text) const {
  std::vector<Match> matches;
  for (std::size_t at = 0; at < text.size();) {
    if (!first_[static_cast<unsigned char>(text[at])]) {
      ++at;
    } else if (const auto match = match_at(text, at)) {
      matches.push_back(*match);
      at = match->end;
    } else {
      ++at;
    }
  }
  return matches;
}

AddedTokenSplitter::AddedTokenSplitter(std::vector<const AddedToken*> tokens, const std::vector<std::string>& patterns)
    : tokens_(std::move(tokens)), matcher_(patterns) {}

void require_short_tokens(const std::vector<AddedToken>& tokens, const std::string& where) {
  constexpr std::size_t kMostBytes = 4'000'000;
  std::size_t bytes = 0;
  for (const AddedToken& token : tokens) bytes += token.content.size();
  if (bytes > kMostBytes) {
    throw corrupt_data(cat(where, ": added tokens of ", human_bytes(bytes), " in total"),
                       "the file is damaged: download it again");
  }
}

std::vector<TextPart> AddedTokenSplitter::split(std::string_view text, bool with_special) const {
  std::vector<TextPart> parts;
  std::size_t done = 0;
  for (const StringMatcher::Match& match : matcher_.find_all(text)) {
    const AddedToken& token = *tokens_[match.index];
    if (token.special && !with_special) continue;
    if (token.single_word && touches_word(text, match.begin, match.end)) continue;
    // White space that an earlier token took is not there any more.
    std::size_t begin = token.lstrip ? skip_spaces_back(text, match.begin) : match.begin;
    begin = std::max(begin, done);
    const std::size_t end = token.rstrip ? skip_spaces(text, match.end) : match.end;
    if (done < begin) parts.push_back({done, begin, nullptr});
    if (end <= done) continue;
    parts.push_back({begin, end, &token});
    done = end;
  }
  if (done < text.size()) parts.push_back({done, text.size(), nullptr});
  return parts;
}

}  // namespace striate
