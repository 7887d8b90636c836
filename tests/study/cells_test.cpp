#include "striate/study/cells.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "striate/base/error.h"
#include "tests/study/written_study.h"

namespace striate::study {
namespace {

using testing::HasSubstr;

class Cells : public test::WrittenStudy {
 protected:
  std::vector<Cell> plan(const std::string& text, std::int64_t layers = 8) { return plan_cells(read(text), {layers}); }
  // Three rates to choose from on seed 9, by a benchmark of its own.
  static std::string study_that_chooses_rates() {
    return small_study("", "learning-rates = [1e-4, 2e-4, 4e-4]\nchosen-on-seed = 9\n") +
           "[[benchmark]]\nname = \"v\"\nbenchmark = \"llava-json\"\ndata = \"v.json\"\nvalidation = true\n";
  }
  void expect_no_plan(const std::string& text, const std::string& what, const std::string& hint) {
    try {
      plan(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(what));
      EXPECT_THAT(error.hint(), HasSubstr(hint));
      EXPECT_EQ(error.exit_code(), 2);
    }
  }
};

std::int64_t count(const std::vector<Cell>& cells, CellKind kind) {
  return std::count_if(cells.begin(), cells.end(), [&](const Cell& cell) { return cell.kind == kind; });
}

std::set<std::string> ids(const std::vector<Cell>& cells) {
  std::set<std::string> out;
  for (const Cell& cell : cells) out.insert(cell.id);
  return out;
}

TEST_F(Cells, WorkThatIsSharedIsDoneOnce) {
  const std::vector<Cell> cells = plan(small_study());
  EXPECT_EQ(count(cells, CellKind::kAlign), 2);     // one for each seed
  EXPECT_EQ(count(cells, CellKind::kTune), 2 * 3);  // 25% of 8 layers are 2 layers
  EXPECT_EQ(count(cells, CellKind::kAsk), 2 + 6);   // the aligned ones, and the tuned
  EXPECT_EQ(count(cells, CellKind::kLoss), 3 + 6);  // the base as well
  EXPECT_EQ(ids(cells).size(), cells.size());
}

TEST_F(Cells, TheReadyStudiesNameKnownKeysAndLayersThatThereAre) {
  const std::map<std::string, std::int64_t> layers = {
      {"quick", 16}, {"paper", 16}, {"nlvr", 8}, {"llava-1.5-7b", 32}, {"bunny-llama3-8b", 32}};
  std::size_t found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(striate::test::sources() / "studies")) {
    if (entry.path().extension() != ".toml") continue;
    const StudyDefinition study = read_definition(entry.path());
    ASSERT_TRUE(layers.contains(study.name)) << study.name;
    EXPECT_EQ(entry.path().stem().string(), study.name);
    EXPECT_GT(count(plan_cells(study, {layers.at(study.name)}), CellKind::kTune), 10) << study.name;
    ++found;
  }
  EXPECT_EQ(found, layers.size());
}

TEST_F(Cells, GridsThatOverlapShareTheirCells) {
  const std::string again = "[[grid]]\nstrategy = \"top\"\nsize = [2, 4]\nseed = 1\n";
  const std::set<std::string> before = ids(plan(small_study()));
  const std::set<std::string> after = ids(plan(small_study() + again));
  EXPECT_TRUE(std::includes(after.begin(), after.end(), before.begin(), before.end()));
  EXPECT_EQ(after.size(), before.size() + 3);  // one tuning, and what measures it
}

TEST_F(Cells, ACellIsAfterAllThatItNeeds) {
  const std::vector<Cell> cells = plan(small_study() +
                                       "[score]\ntuned = true\n[revert]\nlayers = \"top:2\"\n[prune]\nremove = 2\n"
                                       "[heal]\nremove = 2\n");
  for (const CellKind kind : {CellKind::kScore, CellKind::kRevert, CellKind::kPrune, CellKind::kCut, CellKind::kHeal}) {
    EXPECT_GT(count(cells, kind), 0) << name(kind);
  }
  for (std::size_t i = 0; i < cells.size(); ++i) {
    for (const std::size_t need : cells[i].needs) {
      EXPECT_LT(need, i);
      EXPECT_LT(cells[need].level, cells[i].level);
    }
  }
}

TEST_F(Cells, AChangedSettingMakesOtherCellsOfWhatDependsOnIt) {
  std::string text = small_study();
  const std::vector<Cell> before = plan(text);
  text.replace(text.find("steps = 3"), 9, "steps = 4");
  const std::vector<Cell> after = plan(text);
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    const bool follows = before[i].tuning.has_value();
    EXPECT_EQ(before[i].id != after[i].id, follows) << before[i].id;
  }
}

TEST_F(Cells, HowOftenARunIsSavedIsNoOtherCell) {
  const std::set<std::string> often = ids(plan(small_study("", "save-every = 1\n")));
  EXPECT_EQ(often, ids(plan(small_study())));
}

TEST_F(Cells, OffsetsAreOfGridsAndDrawsAreOfRandomRegions) {
  const std::vector<Cell> cells = plan(small_study() +
                                       "[[grid]]\nstrategy = [\"uniform\", \"random\", \"bottom\"]\nsize = 2\n"
                                       "offset = [0, 1]\ndraws = 3\nseed = 1\n");
  std::set<std::string> texts;
  for (const Cell& cell : cells) {
    if (cell.kind == CellKind::kTune) texts.insert(layer_text(*cell.tuning, cell.size));
  }
  for (const char* text : {"uniform:2", "uniform:2@1", "random:2:1", "random:2:2", "random:2:3", "bottom:2", "all"}) {
    EXPECT_TRUE(texts.contains(text)) << text;
  }
  EXPECT_FALSE(texts.contains("bottom:2@1"));
}

TEST_F(Cells, ARuleThatNamesEveryLayerIsTheSameAsAll) {
  const std::string all = "[[grid]]\nstrategy = [\"top\", \"uniform\"]\nsize = [\"all\", 8, \"100%\"]\nseed = 1\n";
  EXPECT_EQ(ids(plan(small_study() + all)), ids(plan(small_study())));
}

TEST_F(Cells, RulesByScoreWaitForTheScores) {
  const std::vector<Cell> cells =
      plan(small_study() + "[[grid]]\nstrategy = [\"score:bi\", \"stratified:param_change\"]\nsize = 2\nseed = 1\n");
  std::int64_t by_score = 0;
  for (const Cell& cell : cells) {
    if (cell.kind != CellKind::kTune || !cell.scores) continue;
    ++by_score;
    const Cell& scores = cells[*cell.scores];
    EXPECT_EQ(scores.kind, CellKind::kScore);
    // What tuning changes is known of the model whose every layer was tuned.
    const bool of_tuned = scores.subject.has_value();
    EXPECT_EQ(of_tuned, cell.tuning->strategy == "stratified:param_change");
    if (of_tuned) {
      EXPECT_EQ(cells[*scores.subject].tuning->strategy, "all");
    }
  }
  EXPECT_EQ(by_score, 2);
}

TEST_F(Cells, ALearningRateIsChosenOnceForEveryStrategyAndSize) {
  const std::vector<Cell> cells = plan(study_that_chooses_rates());
  EXPECT_EQ(count(cells, CellKind::kChoose), 3);
  EXPECT_EQ(count(cells, CellKind::kTune), 6 + 3 * 3);
  for (const Cell& cell : cells) {
    if (cell.kind != CellKind::kTune) continue;
    EXPECT_EQ(cell.choice.has_value(), cell.tuning->seed != 9U);
  }
}

TEST_F(Cells, TheRatesToChooseFromAreTriedSideBySide) {
  const std::vector<Cell> cells = plan(study_that_chooses_rates());
  std::int64_t tried = 0;
  for (const Cell& cell : cells) {
    if (cell.kind != CellKind::kTune || cell.choice.has_value()) continue;
    ++tried;
    for (const std::size_t need : cell.needs) EXPECT_EQ(cells[need].kind, CellKind::kAlign) << cell.id;
  }
  EXPECT_EQ(tried, 3 * 3);
}

TEST_F(Cells, WhatSaysWhichLayersTuningChangesIsTheModelThatIsReported) {
  const std::string by_change = "[[grid]]\nstrategy = \"score:param_change\"\nsize = 2\nseed = [1, 2]\n";
  const std::vector<Cell> without = plan(study_that_chooses_rates()),
                          cells = plan(study_that_chooses_rates() + by_change);
  std::set<std::string> all, before;
  for (const Cell& cell : without) {
    if (cell.kind == CellKind::kTune && cell.tuning->strategy == "all") before.insert(cell.id);
  }
  for (const Cell& cell : cells) {
    if (cell.kind == CellKind::kTune && cell.tuning->strategy == "all") all.insert(cell.id);
  }
  EXPECT_EQ(all, before);
}

TEST_F(Cells, OnlyWhatIsReportedIsMeasured) {
  const std::vector<Cell> cells = plan(study_that_chooses_rates());
  for (const Cell& cell : cells) {
    if (cell.kind == CellKind::kAlign) {
      EXPECT_EQ(cell.reported, cell.seed != 9U);
    }
    if (cell.kind == CellKind::kTune) {
      EXPECT_EQ(cell.reported, cell.tuning->seed != 9U);
    }
    const bool of_projector = cell.kind == CellKind::kAsk && cell.align && !cell.subject;
    EXPECT_FALSE(of_projector && cells[*cell.align].seed == 9U) << cell.id;
  }
}

TEST_F(Cells, CellsThatAreThereStayWhenDataIsAddedAndNoResultIsTakenForAnother) {
  const std::string more =
      "[[data]]\nname = \"more\"\ntrain = \"more.json\"\nimages = \"images\"\nalign = \"align.json\"\n";
  const std::set<std::string> before = ids(plan(small_study())), after = ids(plan(small_study() + more));
  EXPECT_TRUE(std::includes(after.begin(), after.end(), before.begin(), before.end()));
  EXPECT_GT(after.size(), before.size());
  // The answers of pruned models lie in folders that are called as their benchmarks are.
  std::string text = small_study() + "[prune]\n";
  const std::set<std::string> pruned = ids(plan(text));
  text.replace(text.find("name = \"words\""), 14, "name = \"texts\"");
  for (const std::string& id : ids(plan(text))) EXPECT_FALSE(id.starts_with("prune-") && pruned.contains(id)) << id;
}

TEST_F(Cells, AModelTunedWholeIsPrunedAnywhereAndOthersWhereAsked) {
  const std::vector<Cell> cells = plan(small_study() + "[prune]\nwhere = [\"outside\", \"inside\"]\nseed = 1\n");
  for (const Cell& cell : cells) {
    if (cell.kind != CellKind::kPrune) continue;
    EXPECT_EQ(cell.where == Removal::Where::kAnywhere, cell.tuning->strategy == "all");
  }
  EXPECT_EQ(count(cells, CellKind::kPrune), 2 * 2 + 1);
}

TEST_F(Cells, EveryHealingHasTheSameTuningOfTheUnprunedModelBesideIt) {
  const std::vector<Cell> cells =
      plan(small_study() + "[heal]\nstrategy = \"uniform\"\nsize = \"25%\"\nseed = 1\nremove = 2\n");
  EXPECT_EQ(count(cells, CellKind::kCut), 2);  // without two layers, and whole
  std::int64_t pruned = 0, whole = 0;
  for (const Cell& cell : cells) {
    if (cell.kind == CellKind::kHeal) ++(cell.removed > 0 ? pruned : whole);
  }
  EXPECT_EQ(pruned, 3);
  EXPECT_EQ(whole, 3);
}

TEST_F(Cells, LayersThatAModelLacksAreRefusedWithTheirPlace) {
  const auto grid = [&](const std::string& keys) { return small_study() + "[[grid]]\n" + keys + "\n"; };
  expect_no_plan(grid("strategy = \"uniform\"\nsize = 4\noffset = 2"), "study.toml:", "offset");
  expect_no_plan(grid("strategy = \"top\"\nsize = 9"), "9 layers are more than the decoder's 8", "give 1 to 8");
  expect_no_plan(grid("strategy = \"6-9\""), "layer 9 is outside the decoder", "layers 0 to 7");
  expect_no_plan(grid("strategy = \"paper\""), "decoders of 32 and 40 layers", "uniform:25%");
  expect_no_plan(grid("strategy = \"unifrom\""), "not a rule for layers", "did you mean uniform");
  expect_no_plan(grid("strategy = \"score:angulr\""), "there is no score \"angulr\"", "did you mean \"angular\"");
}

}  // namespace
}  // namespace striate::study
