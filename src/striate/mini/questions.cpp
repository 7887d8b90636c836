#include "striate/mini/questions.h"

#include <algorithm>
#include <array>
#include <map>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate::mini {
namespace {

using Asked = std::optional<Question>;

struct FamilyEntry {
  Family family;
  const char* name;
  bool visual;
};

constexpr std::array<FamilyEntry, 18> kFamilies = {{
    {Family::kColor, "color", true},
    {Family::kShape, "shape", true},
    {Family::kSize, "size", true},
    {Family::kCount, "count", true},
    {Family::kPosition, "position", true},
    {Family::kCell, "cell", true},
    {Family::kExist, "exist", true},
    {Family::kCompare, "compare", true},
    {Family::kRelation, "relation", true},
    {Family::kMultihop, "multihop", true},
    {Family::kChoice, "choice", true},
    {Family::kOcr, "ocr", true},
    {Family::kArith, "arith", true},
    {Family::kDescribe, "describe", true},
    {Family::kFacts, "facts", false},
    {Family::kSum, "sum", false},
    {Family::kString, "string", false},
    {Family::kLogic, "logic", false},
}};

std::vector<Family> families(bool visual) {
  std::vector<Family> out;
  for (const FamilyEntry& entry : kFamilies) {
    if (entry.visual == visual && entry.family != Family::kDescribe) out.push_back(entry.family);
  }
  return out;
}

std::string kind(const Object& object) {
  return cat(name(object.colour), ' ', name(object.shape));
}

std::string place(const Cell& cell) {
  return cat("row ", cell.row + 1, ", column ", cell.column + 1);
}

std::string yes_or_no(bool yes) {
  return yes ? "yes" : "no";
}

bool same_colour(const Object& a, const Object& b) {
  return a.colour == b.colour;
}
bool same_shape(const Object& a, const Object& b) {
  return a.shape == b.shape;
}

// The objects that no other equals in what `same` compares.
std::vector<Object> unique_objects(const Scene& scene, bool (*same)(const Object&, const Object&)) {
  std::vector<Object> out;
  for (const Object& object : scene.objects) {
    int equal = 0;
    for (const Object& other : scene.objects) equal += same(object, other) ? 1 : 0;
    if (equal == 1) out.push_back(object);
  }
  return out;
}

// A yes-or-no question of those that have the answer that is wanted, or that a coin decides; none when either answer
// has none.
Asked either_way(Family family, const std::vector<std::string>& yes, const std::vector<std::string>& no, Draws& draws,
                 std::optional<bool> wanted) {
  if (yes.empty() || no.empty()) return std::nullopt;
  const bool coin = draws.chance(0.5);
  const bool answer = wanted.value_or(coin);
  return Question{family, draws.pick(answer ? yes : no), yes_or_no(answer)};
}

Asked ask_color(const Scene& scene, Draws& draws) {
  const std::vector<Object> candidates = unique_objects(scene, same_shape);
  if (candidates.empty()) return std::nullopt;
  const Object& object = draws.pick(candidates);
  return Question{Family::kColor, cat("What color is the ", name(object.shape), "?"), name(object.colour)};
}

Asked ask_shape(const Scene& scene, Draws& draws) {
  const std::vector<Object> candidates = unique_objects(scene, same_colour);
  if (candidates.empty()) return std::nullopt;
  const Object& object = draws.pick(candidates);
  return Question{Family::kShape, cat("What shape is the ", name(object.colour), " object?"), name(object.shape)};
}

Asked ask_size(const Scene& scene, Draws& draws) {
  const Object& object = draws.pick(scene.objects);
  return Question{Family::kSize, cat("What size is the ", kind(object), "?"), name(object.size)};
}

// Every count that the scene can give is equally likely.
Asked ask_count(const Scene& scene, Draws& draws) {
  std::map<int, std::vector<std::string>> subjects;
  subjects[static_cast<int>(scene.objects.size())].push_back("objects");
  for (int i = 0; i < kColours; ++i) {
    const auto colour = static_cast<Colour>(i);
    int count = 0;
    for (const Object& object : scene.objects) count += object.colour == colour ? 1 : 0;
    subjects[count].push_back(name(colour) + " objects");
  }
  for (int i = 0; i < kShapes; ++i) {
    const auto shape = static_cast<Shape>(i);
    int count = 0;
    for (const Object& object : scene.objects) count += object.shape == shape ? 1 : 0;
    subjects[count].push_back(name(shape) + (shape == Shape::kCross ? "es" : "s"));
  }
  auto chosen = subjects.begin();
  std::advance(chosen, draws.below(static_cast<int>(subjects.size())));
  return Question{Family::kCount, cat("How many ", draws.pick(chosen->second), " are there?"), cat(chosen->first)};
}

Asked ask_position(const Scene& scene, Draws& draws) {
  const Object& object = draws.pick(scene.objects);
  return Question{Family::kPosition, cat("Where is the ", kind(object), "?"), place(object.cell)};
}

Asked ask_cell(const Scene& scene, Draws& draws) {
  constexpr double kEmptyShare = 0.2;
  std::vector<Cell> empty;
  for (int i = 0; i < scene.grid * scene.grid; ++i) {
    const Cell cell{i / scene.grid, i % scene.grid};
    bool used = scene.label && scene.label->cell == cell;
    for (const Object& object : scene.objects) used = used || object.cell == cell;
    if (!used) empty.push_back(cell);
  }
  const bool nothing = !empty.empty() && draws.chance(kEmptyShare);
  const Object& object = draws.pick(scene.objects);
  const Cell cell = nothing ? draws.pick(empty) : object.cell;
  return Question{Family::kCell, cat("What is at ", place(cell), "?"), nothing ? "nothing" : kind(object)};
}

Asked ask_exist(const Scene& scene, Draws& draws, std::optional<bool> wanted) {
  std::vector<std::string> there, absent;
  for (int c = 0; c < kColours; ++c) {
    for (int s = 0; s < kShapes; ++s) {
      const Object wanted{.cell = {}, .colour = static_cast<Colour>(c), .shape = static_cast<Shape>(s)};
      bool exists = false, near = false;
      for (const Object& object : scene.objects) {
        exists = exists || (same_colour(object, wanted) && same_shape(object, wanted));
        near = near || same_colour(object, wanted) || same_shape(object, wanted);
      }
      const char* article = wanted.colour == Colour::kOrange ? "an " : "a ";
      const std::string text = cat("Is there ", article, kind(wanted), "?");
      if (exists) there.push_back(text);
      if (!exists && near) absent.push_back(text);
    }
  }
  return either_way(Family::kExist, there, absent, draws, wanted);
}

// Objects are named by their colour, which says nothing of their shape, so that the picture must be looked at.
Asked ask_compare(const Scene& scene, Draws& draws, std::optional<bool> wanted) {
  std::vector<std::string> yes, no;
  const std::vector<Object> named = unique_objects(scene, same_colour);
  for (const Object& a : named) {
    for (const Object& b : named) {
      if (a.cell == b.cell) continue;
      const std::string text =
          cat("Is the ", name(a.colour), " object the same shape as the ", name(b.colour), " object?");
      (same_shape(a, b) ? yes : no).push_back(text);
    }
  }
  return either_way(Family::kCompare, yes, no, draws, wanted);
}

Asked ask_relation(const Scene& scene, Draws& draws, std::optional<bool> wanted) {
  std::vector<std::string> yes, no;
  const bool across = draws.chance(0.5), reversed = draws.chance(0.5);
  const char* words = across ? (reversed ? "to the right of" : "to the left of") : (reversed ? "below" : "above");
  for (const Object& a : scene.objects) {
    for (const Object& b : scene.objects) {
      const int distance = across ? b.cell.column - a.cell.column : b.cell.row - a.cell.row;
      if (distance == 0) continue;
      const std::string text = cat("Is the ", kind(a), " ", words, " the ", kind(b), "?");
      ((distance > 0) != reversed ? yes : no).push_back(text);
    }
  }
  return either_way(Family::kRelation, yes, no, draws, wanted);
}

Asked ask_multihop(const Scene& scene, Draws& draws) {
  struct Side {
    const char* words;
    int rows, columns;
  };
  constexpr std::array<Side, 4> kSides = {
      {{"to the left of", 0, -1}, {"to the right of", 0, 1}, {"above", -1, 0}, {"below", 1, 0}}};
  const bool shape = draws.chance(0.5);
  std::vector<Question> candidates;
  for (const Object& from : scene.objects) {
    for (const Side& side : kSides) {
      std::vector<Object> found;
      for (const Object& to : scene.objects) {
        const int ahead =
            side.rows * (to.cell.row - from.cell.row) + side.columns * (to.cell.column - from.cell.column);
        if (ahead > 0) found.push_back(to);
      }
      if (found.size() != 1) continue;
      const std::string text =
          cat("What ", shape ? "shape" : "color", " is the object ", side.words, " the ", kind(from), "?");
      candidates.push_back({Family::kMultihop, text, shape ? name(found[0].shape) : name(found[0].colour)});
    }
  }
  if (candidates.empty()) return std::nullopt;
  return draws.pick(candidates);
}

Asked ask_choice(const Scene& scene, Draws& draws) {
  constexpr int kOptions = 3;
  const Object& object = draws.pick(scene.objects);
  std::vector<Colour> others;
  for (int i = 0; i < kColours; ++i) {
    if (static_cast<Colour>(i) != object.colour) others.push_back(static_cast<Colour>(i));
  }
  draws.shuffle(others);
  const int right = draws.below(kOptions);
  std::string text = cat("Which color is at ", place(object.cell), "?");
  for (int i = 0; i < kOptions; ++i) {
    const Colour colour = i == right ? object.colour : others[static_cast<std::size_t>(i)];
    text += cat(" (", static_cast<char>('A' + i), ") ", name(colour));
  }
  return Question{Family::kChoice, text, std::string(1, static_cast<char>('A' + right))};
}

Asked ask_ocr(const Scene& scene) {
  if (!scene.label) return std::nullopt;
  return Question{Family::kOcr, "What is the text?", scene.label->text};
}

Asked ask_arith(const Scene& scene) {
  if (!scene.label || scene.label->text.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  const int sum = scene.label->text[0] - '0' + scene.label->text[1] - '0';
  return Question{Family::kArith, "What is the sum of the digits?", cat(sum)};
}

}  // namespace

std::string family_name(Family family) {
  for (const FamilyEntry& entry : kFamilies) {
    if (entry.family == family) return entry.name;
  }
  throw internal_error("a question family without a name");
}

bool is_visual(Family family) {
  for (const FamilyEntry& entry : kFamilies) {
    if (entry.family == family) return entry.visual;
  }
  throw internal_error("unknown question family");
}

bool is_yes_or_no(Family family) {
  return family == Family::kExist || family == Family::kCompare || family == Family::kRelation ||
         family == Family::kLogic;
}

const std::vector<Family>& visual_families() {
  static const std::vector<Family> kVisual = families(true);
  return kVisual;
}

const std::vector<Family>& text_families() {
  static const std::vector<Family> kText = families(false);
  return kText;
}

std::vector<Family> parse_families(std::string_view list) {
  std::vector<std::string> known = {"visual", "text"};
  for (const FamilyEntry& entry : kFamilies) known.emplace_back(entry.name);
  std::vector<Family> out;
  const auto add = [&](Family family) {
    if (std::find(out.begin(), out.end(), family) == out.end()) out.push_back(family);
  };
  for (const std::string& piece : split(list, ',')) {
    const std::string word(trim(piece));
    bool found = false;
    for (const FamilyEntry& entry : kFamilies) {
      const std::vector<Family>& group = word == "visual" ? visual_families() : text_families();
      const bool grouped =
          (word == "visual" || word == "text") && std::find(group.begin(), group.end(), entry.family) != group.end();
      if (grouped || word == entry.name) add(entry.family);
      found = found || grouped || word == entry.name;
    }
    if (found) continue;
    const std::string nearest = nearest_name(word, known);
    throw invalid_input(cat("question family \"", word, "\" is unknown"),
                        nearest.empty() ? cat("known: ", join(known, ", ")) : cat("did you mean ", nearest, "?"));
  }
  return out;
}

std::optional<Question> ask(const Scene& scene, Family family, Draws& draws, std::optional<bool> wanted) {
  switch (family) {
    case Family::kColor:
      return ask_color(scene, draws);
    case Family::kShape:
      return ask_shape(scene, draws);
    case Family::kSize:
      return ask_size(scene, draws);
    case Family::kCount:
      return ask_count(scene, draws);
    case Family::kPosition:
      return ask_position(scene, draws);
    case Family::kCell:
      return ask_cell(scene, draws);
    case Family::kExist:
      return ask_exist(scene, draws, wanted);
    case Family::kCompare:
      return ask_compare(scene, draws, wanted);
    case Family::kRelation:
      return ask_relation(scene, draws, wanted);
    case Family::kMultihop:
      return ask_multihop(scene, draws);
    case Family::kChoice:
      return ask_choice(scene, draws);
    case Family::kOcr:
      return ask_ocr(scene);
    case Family::kArith:
      return ask_arith(scene);
    case Family::kDescribe:
      return Question{Family::kDescribe, "What is in each cell?", scene_map(scene)};
    case Family::kFacts:
    case Family::kSum:
    case Family::kString:
    case Family::kLogic:
      break;
  }
  throw internal_error("a question of a scene in a text family");
}

std::string scene_map(const Scene& scene) {
  std::vector<std::string> words(static_cast<std::size_t>(scene.grid * scene.grid), "_");
  const auto at = [&](const Cell& cell) -> std::string& {
    return words.at(static_cast<std::size_t>(cell.row * scene.grid + cell.column));
  };
  for (const Object& o : scene.objects) at(o.cell) = cat(name(o.size), '-', name(o.colour), '-', name(o.shape));
  if (scene.label) at(scene.label->cell) = "text-" + scene.label->text;
  return join(words, " ");
}

}  // namespace striate::mini
