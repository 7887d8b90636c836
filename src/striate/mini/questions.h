// What is asked in the miniature world: families about a scene, and some about words and numbers alone.
//
// Answers are one to three words and exactly one is right. Within a family answers are as even as the scene allows: a
// question with the answers yes and no is asked only of a scene that can give both. A coin decides which, unless the
// caller does.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "striate/mini/draws.h"
#include "striate/mini/scene.h"

namespace striate::mini {

enum class Family {
  // Of a scene.
  kColor,     // What color is the cross? -> red
  kShape,     // What shape is the blue object? -> cross
  kSize,      // What size is the blue cross? -> small
  kCount,     // How many green objects are there? -> 2
  kPosition,  // Where is the blue diamond? -> row 2, column 3
  kCell,      // What is at row 2, column 3? -> blue diamond (or: nothing)
  kExist,     // Is there a blue square? -> yes; what is not there shares the colour or the shape of something
  kCompare,   // Is the circle the same color as the square? -> no
  kRelation,  // Is the green ring above the red cross? -> yes
  kMultihop,  // What shape is the object to the left of the blue ring? -> cross; there is exactly one
  kChoice,    // Which color is at row 3, column 3? (A) orange (B) red (C) green -> B
  kOcr,       // What is the text? -> R0
  kArith,     // What is the sum of the digits? -> 7
  // Every cell in reading order, as scene_map() writes it: a caption rather than a question, so `visual` leaves it out.
  kDescribe,  // What is in each cell? -> _ small-red-cross _ ...
  // Of nothing but the question.
  kFacts,   // What is the pet of Ada? -> owl; one of 128 fixed facts
  kSum,     // What is 17 + 8? -> 25
  kString,  // Reverse D G U. -> U G D
  kLogic,   // Is it true that (true or not false) and not false? -> yes
};

struct Question {
  Family family = Family::kColor;
  std::string text;
  std::string answer;
};

std::string family_name(Family family);
bool is_visual(Family family);
// Every answer is yes or no.
bool is_yes_or_no(Family family);

// The families `visual` and `text` stand for.
const std::vector<Family>& visual_families();
const std::vector<Family>& text_families();

// "color,shape,count"; `visual` and `text` stand for groups of them. Throws InvalidInput, with the nearest name, for an
// unknown one and for none.
std::vector<Family> parse_families(std::string_view list);

// A question of a visual family that this scene can answer; nullopt when it has none. `wanted` decides the answer of a
// yes-or-no family: true for yes.
std::optional<Question> ask(const Scene& scene, Family family, Draws& draws, std::optional<bool> wanted = {});

// A question of a text family. Sums and strings belong to one part each, as scenes do, and only those of `part` are
// asked where it is given. The facts are few and must all be learned, and there are only 280 questions of logic: every
// part asks all of them.
Question ask_text(Family family, Draws& draws, std::optional<Part> part = {}, std::optional<bool> wanted = {});

// The scene as one word per cell in reading order, as the vision tower gives one row per cell:
// "_ small-red-cross _ text-R0 ...".
std::string scene_map(const Scene& scene);

}  // namespace striate::mini
