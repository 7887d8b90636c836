// Data sets of the miniature world, in the layout that training reads: LLaVA JSON beside a folder of PNG files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "striate/mini/questions.h"
#include "striate/mini/scene.h"

namespace striate::mini {

struct DatasetOptions {
  WorldOptions world;
  std::vector<Family> families = visual_families();  // asked about pictures
  std::int64_t train = 2000;                         // pictures
  std::int64_t held_out = 300;
  std::int64_t test = 0;
  int questions = 4;           // about each training picture, turns of one conversation
  int held_out_questions = 2;  // about each held-out or test picture, a sample each
  // Text for a language model that has never seen a picture: scenes in words with questions about them, and questions
  // of the text families (that share of the samples).
  std::int64_t text = 0;
  std::vector<Family> text_families = mini::text_families();
  double text_family_share = 0.25;
  std::uint64_t seed = 0;
};

// What is known of one family's answers in one file.
struct FamilyCount {
  std::int64_t questions = 0;
  std::map<std::string, std::int64_t> answers;

  // How often the commonest answer is right.
  double majority_share() const;
};

// Over all families, what the commonest answer of each gets right: what a model that sees nothing can get.
double majority_share(const std::map<std::string, FamilyCount>& families);

struct DatasetReport {
  std::map<std::string, FamilyCount> train, held_out, test;  // by family
  std::int64_t train_pictures = 0, held_out_pictures = 0, test_pictures = 0, text_samples = 0;
  std::uint64_t bytes = 0;
};

// Called after every picture with how many are done and how many there will be.
using RenderProgress = std::function<void(std::int64_t done, std::int64_t total)>;

// Writes, into a folder that appears whole or not at all:
//   train/000000.png ...  held_out/000000.png ...  test/000000.png ...
//   align.json     one sample per training picture: the scene as words, for template `plain`
//   train.json     one sample per training picture: a conversation of `questions` turns
//   held_out.json, test.json  one sample per question; an id says the family: "held_out-000012-color-1"
//   text.json      without pictures, when `text` > 0: conversations of `questions` turns
//   text_held_out.json, text_test.json  a tenth as many samples of one question: "text_test-000012-color-0"
// The files of the test part are there when `test` > 0. In every file each yes-or-no family has exactly as many answers
// yes as no.
//   world.json     options, seed, every family's answers and what guessing the commonest is worth
// Everything is a function of the options and the seed. Throws InvalidInput (impossible options, `out` in use, families
// that no scene of this world can answer), ResourceError.
DatasetReport write_dataset(const DatasetOptions& options, const std::filesystem::path& out,
                            const RenderProgress& progress = {});

}  // namespace striate::mini
