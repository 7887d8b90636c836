// Scenes and texts with the questions that are asked of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "striate/mini/questions.h"
#include "striate/mini/scene.h"

namespace striate::mini {

// What one sample asks about. Without a scene, the questions are of text families.
struct AskedSample {
  std::optional<Scene> scene;
  std::vector<Question> questions;  // no two alike about one scene
};

// How often each family was asked in a file so far.
using AskedCounts = std::map<Family, std::int64_t>;

// Training scene `index` with up to `count` questions, at least one, of the families asked most rarely so far: few
// scenes suit some of them. Adds to `counts`. Throws InvalidInput where no scene of the world suits any family.
AskedSample ask_conversation(const WorldOptions& world, std::uint64_t seed, std::uint64_t index,
                             const std::vector<Family>& families, int count, AskedCounts& counts);

// A scene of a part for sample `index` with up to `count` questions, at least one. The families take turns to be asked
// first, and the scene is drawn until it suits that family: no family is asked of simpler scenes than it needs. The
// other questions are of any family. Throws as ask_conversation() does.
AskedSample ask_in_turn(const WorldOptions& world, Part part, std::uint64_t seed, std::uint64_t index,
                        const std::vector<Family>& families, int count);

// Gives every yes-or-no family of a file as many answers yes as no, exactly: of the more frequent answer, the last
// questions are asked anew with the other one, and an odd question is left out. A sample may then have no question.
void make_answers_even(std::vector<AskedSample>& samples, Part part, std::uint64_t seed);

}  // namespace striate::mini
