#include "striate/mini/questions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate::mini {
namespace {

using testing::HasSubstr;

// The groups of `pattern` when it matches the whole text.
std::vector<std::string> match(const std::string& text, const std::string& pattern) {
  std::smatch found;
  if (!std::regex_match(text, found, std::regex(pattern))) return {};
  return {found.begin() + 1, found.end()};
}

bool is(const Object& object, const std::string& word) {
  return word == name(object.colour) || word == name(object.shape) || word == "object" || word == "objects" ||
         word == name(object.shape) + "s" || word == name(object.shape) + "es";
}

// The objects that "red circle", "red object", "circle" or "crosses" names.
std::vector<Object> named(const Scene& scene, const std::string& words) {
  std::vector<Object> out;
  for (const Object& object : scene.objects) {
    bool fits = true;
    for (const std::string& word : split(words, ' ')) fits = fits && is(object, word);
    if (fits) out.push_back(object);
  }
  return out;
}

Object the(const Scene& scene, const std::string& words) {
  const std::vector<Object> found = named(scene, words);
  EXPECT_EQ(found.size(), 1U) << "the " << words;
  return found.empty() ? Object{} : found[0];
}

std::string attribute(const Object& object, const std::string& which) {
  return which == "color" ? name(object.colour) : which == "shape" ? name(object.shape) : name(object.size);
}

bool beside(const Object& a, const std::string& side, const Object& b) {
  if (side == "above") return a.cell.row < b.cell.row;
  if (side == "below") return a.cell.row > b.cell.row;
  return side == "to the left of" ? a.cell.column < b.cell.column : a.cell.column > b.cell.column;
}

std::string yes_no(bool yes) {
  return yes ? "yes" : "no";
}

const std::string kSide = "(to the left of|to the right of|above|below)";

// Answers a question by reading its words; knows nothing of how it was made.
std::string answer(const Scene& scene, const std::string& text) {
  using std::stoi;
  const auto at = [&](const std::string& row, const std::string& column) {
    for (const Object& object : scene.objects) {
      if (object.cell == Cell{stoi(row) - 1, stoi(column) - 1})
        return cat(name(object.colour), ' ', name(object.shape));
    }
    return std::string("nothing");
  };
  if (const auto g = match(text, "What (color|shape|size) is the ([a-z ]+)\\?"); !g.empty()) {
    const auto hop = match(g[1], "object " + kSide + " the ([a-z ]+)");
    if (hop.empty()) return attribute(the(scene, g[1]), g[0]);
    std::vector<Object> found;
    for (const Object& object : scene.objects) {
      if (beside(object, hop[0], the(scene, hop[1]))) found.push_back(object);
    }
    EXPECT_EQ(found.size(), 1U) << text;
    return attribute(found.at(0), g[0]);
  }
  if (const auto g = match(text, "How many ([a-z ]+) are there\\?"); !g.empty()) return cat(named(scene, g[0]).size());
  if (const auto g = match(text, "Where is the ([a-z ]+)\\?"); !g.empty()) {
    const Cell cell = the(scene, g[0]).cell;
    return cat("row ", cell.row + 1, ", column ", cell.column + 1);
  }
  if (const auto g = match(text, "What is at row (\\d), column (\\d)\\?"); !g.empty()) return at(g[0], g[1]);
  if (const auto g = match(text, "Is there an? ([a-z ]+)\\?"); !g.empty()) return yes_no(!named(scene, g[0]).empty());
  if (const auto g = match(text, "Is the ([a-z ]+) the same shape as the ([a-z ]+)\\?"); !g.empty()) {
    return yes_no(the(scene, g[0]).shape == the(scene, g[1]).shape);
  }
  if (const auto g = match(text, "Is the ([a-z]+ [a-z]+) " + kSide + " the ([a-z ]+)\\?"); !g.empty()) {
    return yes_no(beside(the(scene, g[0]), g[1], the(scene, g[2])));
  }
  if (const auto g =
          match(text, "Which color is at row (\\d), column (\\d)\\? \\(A\\) (\\w+) \\(B\\) (\\w+) \\(C\\) (\\w+)");
      !g.empty()) {
    EXPECT_EQ(std::set<std::string>(g.begin() + 2, g.end()).size(), 3U) << text;
    for (std::size_t i = 0; i < 3; ++i) {
      if (at(g[0], g[1]).starts_with(g[2 + i])) return std::string(1, static_cast<char>('A' + i));
    }
  }
  if (text == "What is the text?") return scene.label->text;
  if (text == "What is the sum of the digits?") return cat(scene.label->text[0] + scene.label->text[1] - 2 * '0');
  if (text == "What is in each cell?") return scene_map(scene);
  ADD_FAILURE() << "a question of no known form: " << text;
  return "";
}

std::vector<Family> every_visual_family() {
  std::vector<Family> out = visual_families();
  out.push_back(Family::kDescribe);
  return out;
}

TEST(Questions, EveryAnswerIsRight) {
  for (const Family family : every_visual_family()) {
    int asked = 0;
    for (std::uint64_t index = 0; index < 400; ++index) {
      const Scene scene = draw_scene({}, Part::kTraining, 11, index);
      Draws draws(11, "questions", index);
      const std::optional<Question> question = ask(scene, family, draws);
      if (!question) continue;
      ++asked;
      EXPECT_EQ(question->family, family);
      EXPECT_EQ(question->answer, answer(scene, question->text)) << question->text << "\n" << scene_map(scene);
    }
    EXPECT_GT(asked, 40) << family_name(family);
  }
}

TEST(Questions, DependOnSceneAndDrawsAlone) {
  const Scene scene = draw_scene({}, Part::kTraining, 1, 2);
  for (const Family family : every_visual_family()) {
    Draws a(1, "q", 2), b(1, "q", 2);
    const std::optional<Question> first = ask(scene, family, a), again = ask(scene, family, b);
    ASSERT_EQ(first.has_value(), again.has_value());
    if (first) {
      EXPECT_EQ(first->text + first->answer, again->text + again->answer);
    }
  }
}

// How often the commonest answer comes, over many scenes.
double majority(Family family, int scenes) {
  std::map<std::string, int> answers;
  int asked = 0;
  for (int i = 0; i < scenes; ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    Draws draws(13, "questions", index);
    std::optional<Question> question;
    if (is_visual(family)) {
      question = ask(draw_scene({}, Part::kTraining, 13, index), family, draws);
    } else {
      question = ask_text(family, draws);
    }
    if (!question) continue;
    ++asked;
    ++answers[question->answer];
  }
  int most = 0;
  for (const auto& [text, count] : answers) most = std::max(most, count);
  return static_cast<double>(most) / asked;
}

TEST(Questions, YesAndNoAreEven) {
  for (const Family family : {Family::kExist, Family::kCompare, Family::kRelation, Family::kLogic, Family::kSize}) {
    EXPECT_LT(majority(family, 40000), 0.52) << family_name(family);
  }
}

TEST(Questions, TheCallerCanDecideTheAnswer) {
  for (const Family family : {Family::kExist, Family::kCompare, Family::kRelation, Family::kLogic}) {
    EXPECT_TRUE(is_yes_or_no(family));
    int asked = 0;
    for (std::uint64_t index = 0; index < 300; ++index) {
      const Scene scene = draw_scene({}, Part::kTraining, 11, index);
      Draws draws(11, "wanted", index);
      for (const bool wanted : {true, false}) {
        const std::optional<Question> question =
            is_visual(family) ? ask(scene, family, draws, wanted) : std::optional(ask_text(family, draws, {}, wanted));
        if (!question) continue;
        ++asked;
        EXPECT_EQ(question->answer, wanted ? "yes" : "no");
        if (is_visual(family)) {
          EXPECT_EQ(question->answer, answer(scene, question->text)) << question->text;
        }
      }
    }
    EXPECT_GT(asked, 40) << family_name(family);
  }
  EXPECT_FALSE(is_yes_or_no(Family::kSize));
}

TEST(Questions, NoAnswerOfAFamilyIsMuchCommonerThanTheOthers) {
  const std::map<Family, double> bounds = {{Family::kColor, 0.19},    {Family::kShape, 0.22}, {Family::kCount, 0.42},
                                           {Family::kPosition, 0.09}, {Family::kCell, 0.25},  {Family::kMultihop, 0.12},
                                           {Family::kChoice, 0.36},   {Family::kOcr, 0.03},   {Family::kArith, 0.14},
                                           {Family::kFacts, 0.08},    {Family::kSum, 0.08},   {Family::kString, 0.05}};
  for (const auto& [family, bound] : bounds) EXPECT_LT(majority(family, 4000), bound) << family_name(family);
}

TEST(Questions, ASceneThatCannotBeAskedIsPassedOver) {
  const Object red{.cell = {0, 0}, .colour = Colour::kRed, .shape = Shape::kSquare, .size = Size::kLarge};
  const Scene alone{.grid = 2, .objects = {red}, .label = {}};
  Draws draws(1, "q", 1);
  for (const Family family : {Family::kCompare, Family::kRelation, Family::kMultihop, Family::kOcr, Family::kArith}) {
    for (int i = 0; i < 20; ++i) EXPECT_FALSE(ask(alone, family, draws)) << family_name(family);
  }
  const Scene letters{.grid = 2, .objects = {red}, .label = Label{{1, 1}, "4X"}};
  EXPECT_FALSE(ask(letters, Family::kArith, draws));
  EXPECT_EQ(ask(letters, Family::kOcr, draws)->answer, "4X");
}

TEST(Questions, AMapHasAWordForEveryCell) {
  const Object red{.cell = {0, 1}, .colour = Colour::kRed, .shape = Shape::kSquare, .size = Size::kLarge};
  EXPECT_EQ(scene_map({.grid = 2, .objects = {red}, .label = Label{{1, 0}, "R0"}}), "_ large-red-square text-R0 _");
}

TEST(TextQuestions, AnswersAreRight) {
  std::map<std::string, std::string> facts;
  for (std::uint64_t index = 0; index < 3000; ++index) {
    Draws draws(3, "text", index);
    const Question fact = ask_text(Family::kFacts, draws);
    EXPECT_EQ(facts.try_emplace(fact.text, fact.answer).first->second, fact.answer);

    const Question sum = ask_text(Family::kSum, draws);
    const auto terms = match(sum.text, "What is (\\d+) ([+-]) (\\d+)\\?");
    ASSERT_EQ(terms.size(), 3U) << sum.text;
    const int a = std::stoi(terms[0]), b = std::stoi(terms[2]);
    EXPECT_EQ(sum.answer, cat(terms[1] == "+" ? a + b : a - b));
    EXPECT_GE(std::stoi(sum.answer), 0);

    const Question string = ask_text(Family::kString, draws);
    const auto letters =
        match(string.text, "(What is the first letter of|What is the last letter of|Reverse) ([A-Z ]+)[?.]");
    ASSERT_EQ(letters.size(), 2U) << string.text;
    const std::string reversed(letters[1].rbegin(), letters[1].rend());
    const std::string expected = letters[0] == "Reverse"                         ? reversed
                                 : letters[0].find("first") != std::string::npos ? letters[1].substr(0, 1)
                                                                                 : reversed.substr(0, 1);
    EXPECT_EQ(string.answer, expected);
  }
  EXPECT_EQ(facts.size(), 128U);
}

bool value_of(const std::string& literal) {
  return (literal.find("true") != std::string::npos) != literal.starts_with("not");
}

TEST(TextQuestions, LogicIsLogical) {
  const std::string literal = "((?:not )?(?:true|false))", joint = " (and|or) ";
  const auto join_values = [](bool a, const std::string& word, bool b) { return word == "and" ? a && b : a || b; };
  for (std::uint64_t index = 0; index < 2000; ++index) {
    Draws draws(4, "logic", index);
    const Question question = ask_text(Family::kLogic, draws);
    const auto g =
        match(question.text, "Is it true that \\(" + literal + joint + literal + "\\)" + joint + literal + "\\?");
    if (!g.empty()) {
      const bool inner = join_values(value_of(g[0]), g[1], value_of(g[2]));
      EXPECT_EQ(question.answer, yes_no(join_values(inner, g[3], value_of(g[4])))) << question.text;
      continue;
    }
    const auto order = match(question.text, "([ABC]) > ([ABC]) and ([ABC]) > ([ABC])\\. Is ([ABC]) > ([ABC])\\?");
    ASSERT_EQ(order.size(), 6U) << question.text;
    const std::string top = order[1] == order[2] ? order[0] : order[2];
    EXPECT_EQ(question.answer, yes_no(order[4] == top)) << question.text;
  }
}

TEST(Families, AreNamedInLists) {
  EXPECT_EQ(parse_families("visual"), visual_families());
  EXPECT_EQ(parse_families("text"), text_families());
  EXPECT_EQ(parse_families(" count, color,count"), (std::vector<Family>{Family::kCount, Family::kColor}));
  EXPECT_EQ(parse_families("describe"), (std::vector<Family>{Family::kDescribe}));
  EXPECT_EQ(visual_families().size(), 13U);
  const auto refusal = [](const std::string& list) {
    try {
      parse_families(list);
      return std::string("accepted");
    } catch (const Error& error) {
      return cat(error.what(), " | ", error.hint());
    }
  };
  EXPECT_THAT(refusal("colour"), HasSubstr("did you mean color?"));
  EXPECT_THAT(refusal("color,"), HasSubstr("question family \"\" is unknown | known: visual, text, color"));
  EXPECT_THAT(refusal("history"), HasSubstr("known: "));
}

}  // namespace
}  // namespace striate::mini
