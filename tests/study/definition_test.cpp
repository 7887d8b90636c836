#include "striate/study/definition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "tests/study/written_study.h"

namespace striate::study {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Definition : public test::WrittenStudy {};

TEST_F(Definition, AxesStagesAndDefaultsAreRead) {
  const StudyDefinition study = read(small_study() +
                                     "[prune]\nstrategy = \"all\"\nremove = 2\nwhere = [\"outside\", \"inside\"]\n"
                                     "spaced = [false, true]\n"
                                     "[heal]\nremove = [2]\n[heal.recipe]\nsteps = 5\n");
  EXPECT_EQ(study.name, "small");
  ASSERT_EQ(study.grids.size(), 1U);
  EXPECT_THAT(study.grids[0].strategies, ElementsAre("uniform", "top", "all"));
  EXPECT_THAT(study.grids[0].sizes, ElementsAre("25%", "2"));
  EXPECT_THAT(study.grids[0].seeds, ElementsAre(1, 2));
  EXPECT_EQ(study.tune.steps, 3);
  ASSERT_TRUE(study.prune);
  EXPECT_EQ(study.prune->most, 2);
  EXPECT_THAT(study.prune->where, ElementsAre(Removal::Where::kOutside, Removal::Where::kInside));
  EXPECT_THAT(study.prune->spaced, ElementsAre(false, true));
  EXPECT_THAT(study.prune->metrics, ElementsAre("angular"));
  ASSERT_TRUE(study.heal);
  EXPECT_EQ(study.heal->recipe.steps, 5);
  EXPECT_THAT(study.heal->trained, ElementsAre("projector", "region", "beside-cuts"));
}

TEST_F(Definition, AWorldStandsForItsFiles) {
  const StudyDefinition study = read(small_study("[data.mini]\ntrain = 9\n"));
  ASSERT_TRUE(study.data[0].world);
  EXPECT_EQ(study.data[0].world->train, 9);
  EXPECT_EQ(study.data[0].train, "{pictures}/train.json");
  EXPECT_EQ(study.data[0].align, "{pictures}/align.json");
}

TEST_F(Definition, WhatIsWrongIsNamedWithItsPlace) {
  expect_refusal(small_study() + "[prune]\nremov = 3\n", "unknown key \"remov\" in [prune]", "did you mean \"remove\"");
  expect_refusal(cat("colour = 1\n", small_study()), "study.toml:1: unknown key \"colour\"", "known: ");
  expect_refusal(small_study("", "lora-r = 8\nlora_r = 16\n"), "is given twice", "dashes and underscores are the same");
  expect_refusal(small_study() + "[prune]\nremove = \"two\"\n", "remove of [prune]: not a whole number", "range");
  expect_refusal(small_study() + "[prune]\nwhere = \"outsid\"\n", "\"outsid\" is unknown", "did you mean \"outside\"");
  expect_refusal(small_study() + "[[benchmark]]\nbenchmark = \"gqq\"\ndata = \"x\"\n", "gqq", "gqa");
  expect_refusal(small_study() + "[[grid]]\nstrategy = \"top\"\nmodel = \"smal\"\n", "there is no model \"smal\"",
                 "did you mean \"small\"");
  expect_refusal(small_study() + "[[grid]]\nseed = 1\n", "strategy of [[grid]]: missing", "add strategy");
  expect_refusal(small_study() + "[[benchmark]]\nbenchmark = \"perplexity\"\ndata = \"x\"\n",
                 "no answers that are right or wrong", "[[loss]]");
  expect_refusal(small_study("", "tune = \"full\"\n") + "[[grid]]\nstrategy = \"all\"\nmodules = \"attention\"\n",
                 "modules do not apply", "leave out modules");
  std::string align = small_study();
  align.insert(align.find("[tune]"), "lr = 1e-3\n");
  expect_refusal(align, "lr of [align]: does not apply", "projector-lr");
  expect_refusal(small_study() + "[tune]\n", "not valid TOML", "");
  expect_refusal("[[  [[", "not valid TOML", "");
}

TEST_F(Definition, SeedsThatAreReportedChooseNoLearningRate) {
  const std::string choice = "learning-rates = [1e-4, 2e-4]\nchosen-on-seed = 1\n";
  expect_refusal(small_study("", choice), "seed 1 chooses the learning rates", "other seeds");
  const std::string other = "learning-rates = [1e-4, 2e-4]\nchosen-on-seed = 9\n";
  expect_refusal(small_study("", other) + "[[grid]]\nstrategy = \"top\"\nsize = 1\nlearning-rate = 1e-4\nseed = 9\n",
                 "seed 9 chooses the learning rates", "other seeds");
  expect_refusal(small_study("", other), "no visual benchmark is for validation", "validation = true");
  const std::string validation =
      "[[benchmark]]\nname = \"v\"\nbenchmark = \"llava-json\"\ndata = \"v.json\"\nvalidation = true\n";
  EXPECT_EQ(read(small_study("", other) + validation).choice->seed, 9U);
}

}  // namespace
}  // namespace striate::study
