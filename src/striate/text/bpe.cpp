#include "striate/text/bpe.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <queue>
#include <tuple>

#include "striate/text/utf8.h"

namespace striate {
namespace {

constexpr std::uint64_t kNoKey = ~std::uint64_t{0};
constexpr std::int32_t kNone = -1;
constexpr std::size_t kShortWord = 48;  // up to here scanning beats a heap

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) | static_cast<std::uint32_t>(right);
}

std::uint64_t mix(std::uint64_t key) {
  key ^= key >> 31;
  key *= 0x9E3779B97F4A7C15ULL;
  return key ^ (key >> 29);
}

bool is_printable_byte(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

struct ByteAlphabet {
  std::array<char32_t, 256> characters{};
  std::array<int, 0x144> bytes{};
};

// Printable bytes stand for themselves; the others take the code points from U+0100 on, in order.
constexpr int kAlphabetEnd = 0x144;

const ByteAlphabet& byte_alphabet() {
  static const ByteAlphabet alphabet = [] {
    ByteAlphabet made;
    made.bytes.fill(kNone);
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const char32_t code = is_printable_byte(byte) ? static_cast<char32_t>(byte) : next++;
      made.characters[static_cast<std::size_t>(byte)] = code;
      made.bytes[code] = byte;
    }
    return made;
  }();
  return alphabet;
}

// Whether `text` has a space mark right after another character.
bool has_inner_mark(std::string_view text) {
  for (std::size_t at = text.find(kSpaceMark, 1); at != std::string_view::npos; at = text.find(kSpaceMark, at + 1)) {
    if (at < kSpaceMark.size() || text.substr(at - kSpaceMark.size(), kSpaceMark.size()) != kSpaceMark) return true;
  }
  return false;
}

}  // namespace

std::string byte_level_character(unsigned char byte) {
  return utf8_encode(byte_alphabet().characters[byte]);
}

int byte_level_byte(char32_t code) {
  return code < kAlphabetEnd ? byte_alphabet().bytes[code] : kNone;
}

BpeModel::PairTable::PairTable(const std::vector<BpeMerge>& merges) {
  entries_.assign(std::bit_ceil(merges.size() * 2 + 2), Entry{kNoKey, 0, 0});
  mask_ = entries_.size() - 1;
  for (const BpeMerge& merge : merges) {
    const std::uint64_t key = pair_key(merge.left, merge.right);
    std::uint64_t slot = mix(key) & mask_;
    while (entries_[slot].key != kNoKey && entries_[slot].key != key) slot = (slot + 1) & mask_;
    entries_[slot] = {key, merge.rank, merge.merged};  // a pair listed twice has its last rank, as in `tokenizers`
  }
}

const BpeModel::PairTable::Entry* BpeModel::PairTable::find(std::int32_t left, std::int32_t right) const {
  const std::uint64_t key = pair_key(left, right);
  for (std::uint64_t slot = mix(key) & mask_; entries_[slot].key != kNoKey; slot = (slot + 1) & mask_) {
    if (entries_[slot].key == key) return &entries_[slot];
  }
  return nullptr;
}

std::vector<BpeMerge> BpeModel::PairTable::list() const {
  std::vector<BpeMerge> merges;
  for (const Entry& entry : entries_) {
    if (entry.key == kNoKey) continue;
    merges.push_back({static_cast<std::int32_t>(entry.key >> 32), static_cast<std::int32_t>(entry.key & 0xFFFFFFFF),
                      entry.merged, entry.rank});
  }
  std::sort(merges.begin(), merges.end(), [](const BpeMerge& a, const BpeMerge& b) {
    return std::tie(a.rank, a.left, a.right) < std::tie(b.rank, b.left, b.right);
  });
  return merges;
}

std::vector<BpeMerge> BpeModel::merges() const {
  return pairs_.list();
}

BpeModel::BpeModel(Vocabulary vocabulary, const std::vector<BpeMerge>& merges, const BpeOptions& options)
    : vocabulary_(std::move(vocabulary)), options_(options), pairs_(merges) {
  const auto id_of = [&](std::string_view token) {
    const auto found = vocabulary_.find(token);
    return found == vocabulary_.end() ? kNone : found->second;
  };
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    fallback_ids_[byte] = id_of(name);
    byte_ids_[byte] = id_of(byte_level_character(static_cast<unsigned char>(byte)));
  }
  if (options_.byte_level && options_.ignore_merges) {
    for (const auto& [token, id] : vocabulary_) {
      std::string raw;
      bool mapped = true;
      for (std::size_t at = 0; at < token.size() && mapped;) {
        const Utf8Character next = utf8_at(token, at);
        const int byte = next.valid ? byte_level_byte(next.code) : kNone;
        mapped = byte != kNone;
        raw += static_cast<char>(byte);
        at += next.size;
      }
      if (mapped) words_.emplace(std::move(raw), id);
    }
  }
  split_before_mark_ = !options_.byte_level && !options_.ignore_merges && id_of(kSpaceMark) != kNone &&
                       can_split_before_space_mark(merges);
}

// Where no merge joins something to a space mark after it, words of a long text can be encoded one by one.
bool BpeModel::can_split_before_space_mark(const std::vector<BpeMerge>& merges) const {
  std::unordered_map<std::int32_t, std::string_view> texts;
  for (const auto& [token, id] : vocabulary_) texts.emplace(id, token);
  return std::none_of(merges.begin(), merges.end(), [&](const BpeMerge& merge) {
    const auto text = texts.find(merge.merged);
    return text != texts.end() && has_inner_mark(text->second);
  });
}

void BpeModel::encode(std::string_view word, std::vector<BpeSymbol>& symbols) const {
  if (!split_before_mark_) {
    encode_part(word, symbols);
    return;
  }
  std::size_t begin = 0;
  for (std::size_t at = word.find(kSpaceMark); at != std::string_view::npos;) {
    if (at > begin) encode_part(word.substr(begin, at - begin), symbols);
    begin = at;
    // Marks in a row stay together with the word that follows them.
    while (word.substr(at, kSpaceMark.size()) == kSpaceMark) at += kSpaceMark.size();
    at = word.find(kSpaceMark, at);
  }
  encode_part(word.substr(begin), symbols);
}

void BpeModel::encode_part(std::string_view part, std::vector<BpeSymbol>& symbols) const {
  if (part.empty()) return;
  if (options_.ignore_merges) {
    const Vocabulary& words = options_.byte_level ? words_ : vocabulary_;
    if (const auto found = words.find(part); found != words.end()) {
      symbols.push_back({found->second, static_cast<std::uint32_t>(part.size())});
      return;
    }
  }
  std::vector<BpeSymbol> word = first_symbols(part);
  if (word.size() <= kShortWord) {
    merge_short(word);
  } else {
    merge_long(word);
  }
  symbols.insert(symbols.end(), word.begin(), word.end());
}

// One symbol for each character that the vocabulary has.
std::vector<BpeSymbol> BpeModel::first_symbols(std::string_view part) const {
  std::vector<BpeSymbol> symbols;
  symbols.reserve(part.size());
  std::optional<BpeSymbol> unknown;
  for (std::size_t at = 0; at < part.size();) {
    const auto byte = static_cast<unsigned char>(part[at]);
    const std::size_t size = options_.byte_level ? 1 : utf8_at(part, at).size;
    std::int32_t id = kNone;
    if (options_.byte_level) {
      id = byte_ids_[byte];
    } else if (const auto found = vocabulary_.find(part.substr(at, size)); found != vocabulary_.end()) {
      id = found->second;
    }
    if (id == kNone) {
      const std::string character =
          options_.byte_level ? byte_level_character(byte) : std::string(part.substr(at, size));
      add_unknown(character, static_cast<std::uint32_t>(size), unknown, symbols);
    } else {
      if (unknown) symbols.push_back(*unknown);
      unknown.reset();
      symbols.push_back({id, static_cast<std::uint32_t>(size)});
    }
    at += size;
  }
  if (unknown) symbols.push_back(*unknown);
  return symbols;
}

// As `tokenizers` does it: a pending unknown token is written only when a known character (or the end) follows, so
// bytes that stand for a later character may come before it.
void BpeModel::add_unknown(std::string_view character, std::uint32_t size, std::optional<BpeSymbol>& unknown,
                           std::vector<BpeSymbol>& symbols) const {
  const auto has_byte = [&](char c) { return fallback_ids_[static_cast<unsigned char>(c)] != kNone; };
  if (options_.byte_fallback && std::all_of(character.begin(), character.end(), has_byte)) {
    std::uint32_t left = size;
    for (const char c : character) {
      const std::uint32_t covered = std::min<std::uint32_t>(left, 1);
      symbols.push_back({fallback_ids_[static_cast<unsigned char>(c)], covered});
      left -= covered;
    }
    return;
  }
  if (!options_.unk) return;
  if (unknown && options_.fuse_unk) {
    unknown->size += size;
    return;
  }
  if (unknown) symbols.push_back(*unknown);
  unknown = BpeSymbol{*options_.unk, size};
}

void BpeModel::merge_short(std::vector<BpeSymbol>& symbols) const {
  std::array<const PairTable::Entry*, kShortWord> pairs{};
  std::size_t count = symbols.size();
  const auto look_up = [&](std::size_t i) {
    pairs[i] = i + 1 < count ? pairs_.find(symbols[i].id, symbols[i + 1].id) : nullptr;
  };
  for (std::size_t i = 0; i < count; ++i) look_up(i);
  while (true) {
    std::size_t best = count;
    for (std::size_t i = 0; i + 1 < count; ++i) {
      if (pairs[i] != nullptr && (best == count || pairs[i]->rank < pairs[best]->rank)) best = i;
    }
    if (best == count) break;
    symbols[best] = {pairs[best]->merged, symbols[best].size + symbols[best + 1].size};
    for (std::size_t i = best + 1; i + 1 < count; ++i) {
      symbols[i] = symbols[i + 1];
      pairs[i] = pairs[i + 1];
    }
    --count;
    look_up(best);
    if (best > 0) look_up(best - 1);
  }
  symbols.resize(count);
}

void BpeModel::merge_long(std::vector<BpeSymbol>& symbols) const {
  struct Link {
    std::int32_t previous, next;
  };
  struct Candidate {
    std::int32_t rank, at, merged;
    bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
  };
  const auto count = static_cast<std::int32_t>(symbols.size());
  std::vector<Link> links(symbols.size());
  for (std::int32_t i = 0; i < count; ++i) links[static_cast<std::size_t>(i)] = {i - 1, i + 1 < count ? i + 1 : kNone};
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](std::int32_t at) {
    if (at == kNone || links[static_cast<std::size_t>(at)].next == kNone) return;
    const auto left = static_cast<std::size_t>(at);
    const auto right = static_cast<std::size_t>(links[left].next);
    const PairTable::Entry* entry = pairs_.find(symbols[left].id, symbols[right].id);
    if (entry != nullptr) queue.push({entry->rank, at, entry->merged});
  };
  for (std::int32_t i = 0; i < count; ++i) consider(i);
  std::vector<bool> gone(symbols.size());
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    const auto left = static_cast<std::size_t>(top.at);
    if (gone[left] || links[left].next == kNone) continue;
    const auto right = static_cast<std::size_t>(links[left].next);
    const PairTable::Entry* entry = pairs_.find(symbols[left].id, symbols[right].id);
    if (entry == nullptr || entry->merged != top.merged) continue;  // the pair changed since it was queued
    symbols[left] = {top.merged, symbols[left].size + symbols[right].size};
    gone[right] = true;
    links[left].next = links[right].next;
    if (links[left].next != kNone) links[static_cast<std::size_t>(links[left].next)].previous = top.at;
    consider(links[left].previous);
    consider(top.at);
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    if (!gone[i]) symbols[kept++] = symbols[i];
  }
  symbols.resize(kept);
}

}  // namespace striate
