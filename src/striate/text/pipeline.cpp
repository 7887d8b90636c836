#include "striate/text/pipeline.h"

#include <algorithm>
#include <cctype>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/components.h"
#include "striate/text/utf8.h"

namespace striate {
namespace {

// GPT-2's word pattern, as `tokenizers` writes it.
constexpr const char* kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

void append_slice(NormalizedText& to, const NormalizedText& from, std::size_t begin, std::size_t end) {
  to.text.append(from.text, begin, end - begin);
  for (std::size_t at = begin; at < end; ++at) to.origin.push_back(static_cast<std::uint32_t>(from.original(at)));
}

void append_new(NormalizedText& to, std::string_view text, std::size_t original) {
  to.text += text;
  to.origin.insert(to.origin.end(), text.size(), static_cast<std::uint32_t>(original));
}

// text[begin, end) with `pattern` replaced, appended to `to`; each new byte comes from where its pattern began.
void append_replaced(NormalizedText& to, const NormalizedText& from, std::size_t begin, std::size_t end,
                     std::string_view pattern, std::string_view content) {
  const std::string_view text = std::string_view(from.text).substr(0, end);
  for (std::size_t at = begin; at < end;) {
    const std::size_t found = std::min(text.find(pattern, at), end);
    append_slice(to, from, at, found);
    if (found == end) break;
    append_new(to, content, from.original(found));
    at = found + pattern.size();
  }
}

void close(NormalizedText& to, const NormalizedText& from) {
  to.origin.push_back(static_cast<std::uint32_t>(from.original(from.text.size())));
}

}  // namespace

std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content) {
  if (pattern.empty()) return std::string(text);
  std::string out;
  std::size_t at = 0;
  for (std::size_t found; (found = text.find(pattern, at)) != std::string_view::npos; at = found + pattern.size()) {
    out += text.substr(at, found - at);
    out += content;
  }
  return out += text.substr(at);
}

void require_growth(double growth, const std::string& where) {
  if (growth > kMostGrowth) {
    throw unsupported(cat(where, ": its rules may make a text longer than ", kMostGrowth, " times its length"),
                      "the file is damaged or malicious: download it from a source you trust");
  }
}

Normalizer Normalizer::from_json(const Json& component, const std::string& where) {
  Normalizer normalizer;
  for_each_component(component, "normalizers", where, [&](const Json& step, const std::string& at) {
    const std::string type = json_string(step, "type", at);
    if (type == "Prepend") {
      normalizer.add_prepend(json_string(step, "prepend", at));
    } else if (type == "Replace") {
      normalizer.add_replace(literal_pattern(step, at), json_string(step, "content", at));
    } else {
      throw not_implemented(at, cat("normalizer '", type, "'"));
    }
  });
  return normalizer;
}

double Normalizer::growth() const {
  double growth = 1;
  for (const Step& step : steps_) {
    // At worst a prefix meets a text of one byte.
    growth *= step.prepend ? 1 + static_cast<double>(step.pattern.size()) : growth_of(step.pattern, step.content);
  }
  return growth;
}

NormalizedText Normalizer::normalize(std::string_view text) const {
  NormalizedText now{std::string(text), {}};
  for (const Step& step : steps_) {
    if (step.pattern.empty() || now.text.empty()) continue;
    NormalizedText next;
    if (step.prepend) {
      append_new(next, step.pattern, now.original(0));
      append_slice(next, now, 0, now.text.size());
    } else {
      append_replaced(next, now, 0, now.text.size(), step.pattern, step.content);
    }
    close(next, now);
    now = std::move(next);
  }
  return now;
}

PreTokenizer PreTokenizer::from_json(const Json& component, const std::string& where) {
  PreTokenizer made;
  for_each_component(component, "pretokenizers", where,
                     [&](const Json& step, const std::string& at) { made.add(step, at); });
  return made;
}

PreTokenizer PreTokenizer::byte_level_split(const std::string& pattern) {
  PreTokenizer made;
  made.steps_.push_back(Split{pattern, std::make_shared<Regex>(pattern, "the tokenizer"), Behavior::kIsolated, false});
  made.byte_level_ = true;
  return made;
}

void PreTokenizer::add(const Json& component, const std::string& where) {
  const std::string type = json_string(component, "type", where);
  if (byte_level_) throw not_implemented(where, cat("pre-tokenizer '", type, "' after ByteLevel"));
  if (type == "Split") {
    add_split(component, where);
  } else if (type == "Metaspace") {
    add_metaspace(component, where);
  } else if (type == "ByteLevel") {
    add_byte_level(component, where);
  } else {
    throw not_implemented(where, cat("pre-tokenizer '", type, "'"));
  }
}

void PreTokenizer::add_split(const Json& component, const std::string& where) {
  static const std::pair<const char*, Behavior> kBehaviors[] = {
      {"Removed", Behavior::kRemoved},
      {"Isolated", Behavior::kIsolated},
      {"MergedWithPrevious", Behavior::kMergedWithPrevious},
      {"MergedWithNext", Behavior::kMergedWithNext},
      {"Contiguous", Behavior::kContiguous},
  };
  const Json& pattern = json_field(component, "pattern", where);
  std::string expression;
  if (const auto literal = json_optional_string(pattern, "String", where + ".pattern")) {
    for (const char c : *literal) {
      if (c > 0 && !std::isalnum(static_cast<unsigned char>(c))) expression += '\\';
      expression += c;
    }
  } else {
    expression = json_string(pattern, "Regex", where + ".pattern");
  }
  const std::string name = json_string(component, "behavior", where);
  for (const auto& [known, behavior] : kBehaviors) {
    if (name != known) continue;
    steps_.push_back(Split{expression, std::make_shared<Regex>(expression, where), behavior,
                           json_bool(component, "invert", false, where)});
    return;
  }
  throw not_implemented(where, cat("Split behavior '", name, "'"));
}

void PreTokenizer::add_metaspace(const Json& component, const std::string& where) {
  const std::string mark = json_string(component, "replacement", where);
  if (mark.empty()) throw corrupt_data(cat(where, ": empty 'replacement'"), "the file is damaged: download it again");
  const std::string scheme = prepend_scheme(component, where);
  steps_.push_back(SpaceMark{mark});
  if (scheme != "never") steps_.push_back(Prefix{mark, scheme == "first"});
  if (!json_bool(component, "split", true, where)) return;
  std::string quoted;
  for (std::size_t at = 0; at < mark.size();) {
    const Utf8Character next = utf8_at(mark, at);
    quoted += cat("\\x{", std::hex, static_cast<std::uint32_t>(next.code), "}");
    at += next.size;
  }
  steps_.push_back(Split{quoted, std::make_shared<Regex>(quoted, where), Behavior::kMergedWithNext, false});
}

void PreTokenizer::add_byte_level(const Json& component, const std::string& where) {
  if (json_bool(component, "add_prefix_space", true, where)) steps_.push_back(Prefix{" ", false});
  if (json_bool(component, "use_regex", true, where)) {
    steps_.push_back(Split{kGpt2Pattern, std::make_shared<Regex>(kGpt2Pattern, where), Behavior::kIsolated, false});
  }
  byte_level_ = true;
}

std::vector<std::string> PreTokenizer::split_patterns() const {
  std::vector<std::string> patterns;
  for (const Step& step : steps_) {
    if (const Split* split = std::get_if<Split>(&step)) patterns.push_back(split->expression);
  }
  return patterns;
}

double PreTokenizer::growth() const {
  double growth = 1;
  for (const Step& step : steps_) {
    if (const Prefix* prefix = std::get_if<Prefix>(&step)) growth *= 1 + static_cast<double>(prefix->text.size());
    if (const SpaceMark* space = std::get_if<SpaceMark>(&step)) growth *= growth_of(" ", space->mark);
  }
  return growth;
}

PreTokenized PreTokenizer::split(NormalizedText text, bool at_start) const {
  PreTokenized tokens{std::move(text), {}};
  if (!tokens.text.text.empty()) tokens.words.emplace_back(0, tokens.text.text.size());
  for (const Step& step : steps_) {
    if (const Split* split = std::get_if<Split>(&step)) {
      tokens = apply(*split, std::move(tokens));
    } else {
      tokens = rewrite(step, at_start, tokens);
    }
  }
  return tokens;
}

std::vector<PreTokenizer::Cut> PreTokenizer::cut(const Split& split, std::string_view text) {
  std::vector<Cut> cuts;
  std::size_t done = 0;
  for (const auto& [begin, end] : split.pattern->find_all(text)) {
    if (begin > done) cuts.push_back({done, begin, split.invert});
    cuts.push_back({begin, end, !split.invert});
    done = end;
  }
  if (done < text.size()) cuts.push_back({done, text.size(), split.invert});
  return cuts;
}

// Whether `now` belongs to the word that `before` ended.
bool PreTokenizer::joins(Behavior behavior, const Cut& before, const Cut& now) {
  switch (behavior) {
    case Behavior::kMergedWithPrevious:
      return now.matched && !before.matched;
    case Behavior::kMergedWithNext:
      return !now.matched && before.matched;
    case Behavior::kContiguous:
      return now.matched == before.matched;
    case Behavior::kRemoved:
    case Behavior::kIsolated:
      break;
  }
  return false;
}

PreTokenized PreTokenizer::apply(const Split& split, PreTokenized tokens) {
  std::vector<std::pair<std::size_t, std::size_t>> words;
  for (const auto& [begin, end] : tokens.words) {
    const std::vector<Cut> cuts = cut(split, std::string_view(tokens.text.text).substr(begin, end - begin));
    for (std::size_t i = 0; i < cuts.size(); ++i) {
      if (split.behavior == Behavior::kRemoved && cuts[i].matched) continue;
      if (i > 0 && joins(split.behavior, cuts[i - 1], cuts[i])) {
        words.back().second = begin + cuts[i].end;
      } else {
        words.emplace_back(begin + cuts[i].begin, begin + cuts[i].end);
      }
    }
  }
  tokens.words = std::move(words);
  return tokens;
}

// Steps that change the words' text; words keep their order.
PreTokenized PreTokenizer::rewrite(const Step& step, bool at_start, const PreTokenized& tokens) {
  const NormalizedText& old = tokens.text;
  PreTokenized next;
  for (const auto& [begin, end] : tokens.words) {
    const std::size_t first = next.text.text.size();
    if (const Prefix* prefix = std::get_if<Prefix>(&step)) {
      const bool wanted = !prefix->only_at_start || (at_start && old.original(begin) == 0);
      if (wanted && !std::string_view(old.text).substr(begin, end - begin).starts_with(prefix->text)) {
        append_new(next.text, prefix->text, old.original(begin));
      }
      append_slice(next.text, old, begin, end);
    } else {
      append_replaced(next.text, old, begin, end, " ", std::get<SpaceMark>(step).mark);
    }
    next.words.emplace_back(first, next.text.text.size());
  }
  close(next.text, old);
  return next;
}

}  // namespace striate
