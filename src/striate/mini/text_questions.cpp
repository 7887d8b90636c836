// The families that need no scene.
#include <array>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/mini/questions.h"

namespace striate::mini {
namespace {

constexpr std::array<const char*, 32> kPeople = {"Ada",  "Ben",  "Cleo", "Dan",  "Eva",  "Finn", "Gus",  "Hana",
                                                 "Ivo",  "Jude", "Kim",  "Lea",  "Max",  "Nora", "Otto", "Pia",
                                                 "Quin", "Rosa", "Sam",  "Tess", "Udo",  "Vera", "Will", "Xena",
                                                 "Yuri", "Zoe",  "Abel", "Bea",  "Carl", "Dora", "Emil", "Fay"};

struct Relation {
  const char* name;
  std::array<const char*, 12> values;
};

constexpr std::array<Relation, 4> kRelations = {{
    {"pet", {"owl", "cat", "dog", "hen", "fox", "bat", "pig", "cow", "ant", "bee", "emu", "elk"}},
    {"food", {"rice", "soup", "cake", "corn", "beans", "bread", "figs", "nuts", "kale", "plums", "tofu", "pears"}},
    {"home", {"farm", "hill", "lake", "city", "barn", "cave", "boat", "tower", "tent", "mill", "inn", "port"}},
    {"job",
     {"cook", "judge", "nurse", "baker", "pilot", "poet", "guard", "clerk", "smith", "miner", "actor", "tailor"}},
}};

// The 128 facts are the same in every world, whatever its seed.
Question ask_fact(Draws& draws) {
  const int person = draws.below(static_cast<int>(kPeople.size()));
  const int relation = draws.below(static_cast<int>(kRelations.size()));
  const Relation& asked = kRelations.at(static_cast<std::size_t>(relation));
  const auto key = static_cast<std::uint64_t>(person) * kRelations.size() + static_cast<std::uint64_t>(relation);
  const char* value = asked.values.at(RandomStream(0, "facts").bits(key) % asked.values.size());
  return {Family::kFacts, cat("What is the ", asked.name, " of ", kPeople.at(static_cast<std::size_t>(person)), "?"),
          value};
}

Question ask_sum(Draws& draws) {
  constexpr int kOperands = 25;
  const int a = draws.below(kOperands), b = draws.below(kOperands);
  if (draws.chance(0.5)) return {Family::kSum, cat("What is ", a, " + ", b, "?"), cat(a + b)};
  return {Family::kSum, cat("What is ", std::max(a, b), " - ", std::min(a, b), "?"),
          cat(std::max(a, b) - std::min(a, b))};
}

Question ask_string(Draws& draws) {
  constexpr int kLetters = 26;
  std::vector<std::string> letters(static_cast<std::size_t>(3 + draws.below(2)));
  for (std::string& letter : letters) letter = std::string(1, static_cast<char>('A' + draws.below(kLetters)));
  const std::string text = join(letters, " ");
  switch (draws.below(3)) {
    case 0:
      return {Family::kString, cat("What is the first letter of ", text, "?"), letters.front()};
    case 1:
      return {Family::kString, cat("What is the last letter of ", text, "?"), letters.back()};
    default:
      return {Family::kString, cat("Reverse ", text, "."), join({letters.rbegin(), letters.rend()}, " ")};
  }
}

// Either a formula of three values, or an order of three letters. The answer is decided first.
Question ask_logic(Draws& draws, std::optional<bool> decided) {
  const bool coin = draws.chance(0.5);
  const bool wanted = decided.value_or(coin);
  if (draws.chance(0.5)) {
    std::vector<std::string> letters = {"A", "B", "C"};
    draws.shuffle(letters);
    const std::string first = cat(letters[0], " > ", letters[1]), second = cat(letters[1], " > ", letters[2]);
    const bool swapped = draws.chance(0.5);
    const std::string asked = wanted ? cat(letters[0], " > ", letters[2]) : cat(letters[2], " > ", letters[0]);
    return {Family::kLogic, cat(swapped ? second : first, " and ", swapped ? first : second, ". Is ", asked, "?"),
            wanted ? "yes" : "no"};
  }
  while (true) {
    std::array<bool, 3> values{};
    std::array<std::string, 3> words;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool value = draws.chance(0.5), negated = draws.chance(0.5);
      values[i] = value != negated;
      words[i] = cat(negated ? "not " : "", value ? "true" : "false");
    }
    const bool inner_and = draws.chance(0.5), outer_and = draws.chance(0.5);
    const bool inner = inner_and ? values[0] && values[1] : values[0] || values[1];
    const bool result = outer_and ? inner && values[2] : inner || values[2];
    if (result != wanted) continue;
    return {Family::kLogic,
            cat("Is it true that (", words[0], inner_and ? " and " : " or ", words[1], ")",
                outer_and ? " and " : " or ", words[2], "?"),
            wanted ? "yes" : "no"};
  }
}

Question ask_any(Family family, Draws& draws, std::optional<bool> wanted) {
  switch (family) {
    case Family::kFacts:
      return ask_fact(draws);
    case Family::kSum:
      return ask_sum(draws);
    case Family::kString:
      return ask_string(draws);
    case Family::kLogic:
      return ask_logic(draws, wanted);
    default:
      throw internal_error("a question without a scene in a visual family");
  }
}

}  // namespace

Question ask_text(Family family, Draws& draws, std::optional<Part> part, std::optional<bool> wanted) {
  // The other families are tables to be known by heart: all of their questions are in every part.
  const bool divided = family == Family::kString;
  while (true) {
    Question question = ask_any(family, draws, wanted);
    if (!divided || !part || part_of(question.text) == *part) return question;
  }
}

}  // namespace striate::mini
