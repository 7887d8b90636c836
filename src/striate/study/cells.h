// The cells of a study: the least work that it consists of, each in a process and a folder of its own, and which of
// them must be done before which.
//
// A cell is known by all that decides its numbers: its settings and those of the cells it builds on. Two tunings that
// share a stage (an aligned projector, scores, an evaluation of the base) share its cell, and a definition that is
// changed later keeps the cells that are the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "striate/study/definition.h"

namespace striate::study {

enum class CellKind {
  kWorld,   // renders a miniature world
  kAlign,   // trains a projector
  kScore,   // measures every layer of a model
  kTune,    // tunes a region
  kAsk,     // asks a model the questions of one benchmark
  kLoss,    // measures a model's loss on one held-out data set
  kChoose,  // the learning rate whose tuning answered best
  kRevert,  // gives layers of a tuned model back what they were
  kPrune,   // measures a model without 1, 2, ... of its layers
  kCut,     // writes a model without some layers; without none: the adapter merged
  kHeal,    // tunes a cut model
};

// "world", "align", ...
std::string name(CellKind kind);

struct Cell {
  std::string id;  // "tune-mini-uniform-4-s1-5f2a9c1b3d": the name of its folder
  CellKind kind = CellKind::kWorld;
  nlohmann::json settings;         // all that decides its numbers; `id` ends in their hash
  std::vector<std::size_t> needs;  // cells that must be done before, ascending; all stand before this one
  std::int64_t level = 0;          // 0: needs none; else one more than the highest it needs

  std::size_t model = 0, data = 0;         // of the definition; of a world `data` alone
  Treatment treatment = Treatment::kBase;  // of the model that it makes or measures
  std::optional<std::size_t> subject{};    // the cell whose model it goes on from; absent: the base
  std::optional<std::size_t> align{};      // whose projector the model has
  std::optional<std::size_t> scores{};     // of its layers, where it chooses by them
  std::optional<std::size_t> choice{};     // whose learning rate it takes
  std::vector<std::size_t> candidates{};   // of kChoose: the tunings, one for each rate
  std::vector<std::size_t> judged{};       // of kChoose: what measured them, as many for each candidate
  std::optional<std::size_t> measure{};    // of kAsk and kLoss: which benchmark or loss of the definition
  std::uint64_t seed = 0;                  // of kAlign
  std::int64_t samples = 0;                // of kScore
  // Of a tuning; `layers` are those of the rule alone and not known here where scores decide. In a later stage it is
  // that of the tuning it goes on from.
  std::optional<Tuning> tuning;
  std::string size;    // of its region, a number of layers; empty where the rule has none
  std::string layers;  // of kRevert: which go back
  // Of kPrune and kCut, and of kHeal for which cut it heals: how many, by what, where.
  std::int64_t removed = 0;
  std::string metric;
  Removal::Where where = Removal::Where::kOutside;
  bool spaced = false;
  std::string trained;                   // of kHeal
  std::optional<std::size_t> beside_of;  // of kHeal: the cut whose neighbours are trained
  // Whether numbers of its model are reported. Those of a tuning by which a learning rate is chosen, or which only says
  // which layers tuning changes, are not, nor those of a projector that such tunings alone use.
  bool reported = false;
};

// The cells of a definition, in the order they are best done in. `layers` is the depth of each of its models. Throws
// InvalidInput, with file and line, for axes that name layers a model lacks, and scores that there are not.
std::vector<Cell> plan_cells(const StudyDefinition& study, const std::vector<std::int64_t>& layers);

// The layers of a tuning as region/layer_grammar.h writes them, `scores` being the file that its rule reads; for people
// without it.
std::string layer_text(const Tuning& tuning, const std::string& size, const std::string& scores = {});

}  // namespace striate::study
