// striate heal from outside, at the end of the chain: train, prune, heal, ask.
#include <gmock/gmock.h>

#include "tests/cli/train_world.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Heal : public TrainCommand {
 protected:
  // A model tuned whole on layers 1 and 3 until it knows some of its data, and the same without layer 2.
  static void SetUpTestSuite() {
    TrainCommand::SetUpTestSuite();
    const CommandResult tuned = train("tuned", {"--steps", "60", "--tune", "full", "--lr", "3e-3"});
    ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
    const CommandResult pruned = run_command({STRIATE_PROGRAM, "prune", "--model", file("tuned"), "--layers", "2",
                                              "--threads", "1", "--out", file("pruned")});
    ASSERT_EQ(pruned.exit_code, 0) << pruned.err;
  }
  static std::vector<std::string> heal_command(const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = command(out, {"--model", file("pruned"), "--steps", "6"});
    all[1] = "heal";
    all = without(all, {"--layers", "--lora-r", "--lora-alpha"});
    for (std::size_t i = 0; i < more.size(); ++i) {  // one that is given again has its new value
      const auto at = std::find(all.begin(), all.end(), more[i]);
      if (at != all.end() && more[i].starts_with("--")) {
        *(at + 1) = more[++i];
      } else {
        all.push_back(more[i]);
      }
    }
    return all;
  }
  static CommandResult heal(const std::string& out, const std::vector<std::string>& more = {}) {
    return run_command(heal_command(out, more));
  }
  static std::vector<std::string> with_teacher(std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--teacher", file("tuned")});
    return more;
  }
  static std::vector<double> held_out_losses(const std::string& out) {
    std::vector<double> losses;
    for (const json& line : metrics_of(file(out))) {
      if (line.contains("eval_loss")) losses.push_back(line["eval_loss"]);
    }
    return losses;
  }
};

TEST_F(Heal, KeepsFrozenLayersInFewerBitsAndTheTeacherAsItIs) {
  const CommandResult result =
      heal("healed_nf4", with_teacher({"--tune", "lora", "--layers", "1", "--frozen-precision", "nf4"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(json::parse(read_file(file("healed_nf4/run.json")))["settings"]["frozen-precision"], "nf4");
  EXPECT_EQ(metrics_of(file("healed_nf4")).size(), 6U);
}

TEST_F(Heal, LowersTheLossOfAPrunedModelAndLeavesAModelThatAnswers) {
  const CommandResult result =
      heal("healed", with_teacher({"--tune", "full", "--eval-data", data(), "--eval-first", "--lr", "3e-3", "--steps",
                                   "40", "--eval-max-tokens", "2", "--kl-weight", "1", "--hidden-weight", "0.5"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("teacher     "), HasSubstr("layers 1,2 of 3")));
  const std::vector<double> losses = held_out_losses("healed");
  ASSERT_EQ(losses.size(), 2U);
  EXPECT_LT(losses[1], 0.9 * losses[0]);
  const CommandResult asked = run_command({STRIATE_PROGRAM, "chat", "--model", file("healed"), "--image",
                                           file("images/p0.bmp"), "--prompt", "What is it?", "--max-tokens", "3"});
  EXPECT_EQ(asked.exit_code, 0) << asked.err;
  const json history = json::parse(read_file(file("healed/striate.json")));
  EXPECT_EQ(history["made_by"], "striate heal");
  EXPECT_EQ(history["base_history"]["layers"]["original"], json({0, 1, 3}));
  EXPECT_EQ(json::parse(read_file(file("healed/run.json")))["command"], "heal");
}

TEST_F(Heal, TermsOfTheLossAreInTheMetricsAndAddUp) {
  ASSERT_EQ(heal("terms", with_teacher({"--hidden-weight", "0.5", "--kl-weight", "2", "--temperature", "3"})).exit_code,
            0);
  const auto lines = metrics_of(file("terms"));
  ASSERT_EQ(lines.size(), 6U);
  for (const json& line : lines) {
    const double hidden = line["hidden"], kl = line["kl"];
    EXPECT_GT(hidden, 0);
    EXPECT_GT(kl, 0);
    EXPECT_NEAR(line["loss"].get<double>(), line["ce"].get<double>() + 0.5 * hidden + 2 * kl, 1e-9);
  }
}

// A quarter of the layers is gone: by itself the command tunes layers; here the projector alone is asked for.
TEST_F(Heal, TheProjectorAloneChangesNothingElse) {
  const CommandResult result = run_command(without(heal_command("projector", {"--tune", "projector"}), {"--lr"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("more than a fifth"));
  EXPECT_FALSE(fs::exists(file("projector/adapter_config.json")));
  const std::string before = read_file(file("pruned/model.safetensors"));
  const std::string after = read_file(file("projector/model.safetensors"));
  ASSERT_EQ(before.size(), after.size());
  EXPECT_NE(before, after);
  const json history = json::parse(read_file(file("projector/striate.json")));
  EXPECT_EQ(history["tune"], "projector");
  EXPECT_EQ(history["region"]["layers"], json::array());
  EXPECT_FALSE(metrics_of(file("projector")).front().contains("hidden"));
}

TEST_F(Heal, WithMuchRemovedItTunesTheRegionOfTheTuningBefore) {
  const CommandResult result = heal("auto", with_teacher({"--lora-r", "4"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("--adapter"));
  const json history = json::parse(read_file(file("auto/striate.json")));
  EXPECT_EQ(history["tune"], "lora");
  EXPECT_EQ(history["region"]["layers"], json({1, 2}));  // 1 and 3 before layer 2 went
}

TEST_F(Heal, ResumedWithATeacherItEndsBitIdentical) {
  const auto flags = with_teacher({"--tune", "lora", "--lora-r", "4", "--save-every", "3", "--keep", "0"});
  ASSERT_EQ(heal("whole", flags).exit_code, 0);
  fs::copy(file("whole"), file("half"), fs::copy_options::recursive);
  fs::remove_all(file("half/checkpoints/step-000006"));
  fs::remove(file("half/adapter_model.safetensors"));
  auto again = flags;
  again.emplace_back("--resume");
  const CommandResult resumed = heal("half", again);
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  expect_same_run("whole", "half", "step-000006");
  again.insert(again.end(), {"--kl-weight", "0.5"});
  expect_refusal(heal("half", again), "--kl-weight: 0.5 now, 1");
}

TEST_F(Heal, SaysThatAModelWasNeverPruned) {
  const CommandResult never = heal("never", {"--model", file("tuned"), "--tune", "lora", "--layers", "1"});
  ASSERT_EQ(never.exit_code, 0) << never.err;
  EXPECT_THAT(never.err, HasSubstr("tuned records no removed layers: it is tuned like any other model\n"));
  const CommandResult pruned = heal("once", {"--tune", "lora", "--layers", "1"});
  ASSERT_EQ(pruned.exit_code, 0) << pruned.err;
  EXPECT_THAT(pruned.err, Not(HasSubstr("removed layers")));
}

TEST_F(Heal, RefusesWhatMakesNoSense) {
  expect_refusal(heal("no", {"--kl-weight", "1"}), "distillation needs a teacher");
  expect_refusal(heal("no", {"--teacher", file("absent")}), "absent: no such file");
  expect_refusal(heal("no", with_teacher({"--hidden-weight", "0", "--kl-weight", "0"})),
                 "both distillation losses have weight 0");
  expect_refusal(heal("no", with_teacher({"--temperature", "0"})), "--temperature: 0 is not a number");
  expect_refusal(heal("no", with_teacher({"--hidden-layers", "7"})), "layer 7");
  expect_refusal(heal("no", {"--tune", "projectr"}), "--tune projectr");
  expect_refusal(heal("no", {"--tune", "projector", "--layers", "1"}),
                 "--layers and --tune projector exclude each other");
  EXPECT_FALSE(fs::exists(file("no")));
}

TEST_F(Heal, RefusesFlagsOfWhatIsNotTuned) {
  expect_refusal(heal("no", {"--tune", "projector"}), "--lr does not apply: only the projector is tuned");
  expect_refusal(run_command(without(heal_command("no", {"--tune", "projector", "--lora-r", "4"}), {"--lr"})),
                 "--lora-r does not apply: only the projector is tuned");
  expect_refusal(heal("no", {"--tune", "full", "--lora-alpha", "4"}), "--lora-alpha does not apply to --tune full");
  expect_refusal(heal("no", {"--tune", "lora", "--save-dtype", "fp16"}),
                 "--save-dtype does not apply to a run that writes an adapter");
  EXPECT_FALSE(fs::exists(file("no")));
}

TEST_F(Heal, ATeacherOfAnotherDepthIsRefused) {
  const CommandResult other =
      run_command({STRIATE_PROGRAM,   "init",
                   "--arch",          "llava-1.5-7b",
                   "--layers",        "3",
                   "--hidden",        "32",
                   "--heads",         "4",
                   "--kv-heads",      "2",
                   "--mlp",           "48",
                   "--vision-layers", "2",
                   "--vision-hidden", "16",
                   "--vision-heads",  "2",
                   "--vision-mlp",    "24",
                   "--image-size",    "28",
                   "--tokenizer",     (fs::path(STRIATE_SOURCE) / "demo/tokenizer.model").string(),
                   "--out",           file("three")});
  ASSERT_EQ(other.exit_code, 0) << other.err;
  expect_refusal(heal("no", {"--teacher", file("three")}), "--teacher began with 3 layers, but --model began with 4");
}

TEST_F(Heal, HelpHasAnExample) {
  const CommandResult result = run_command({STRIATE_PROGRAM, "heal", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("Example:"), HasSubstr("--teacher DIR"), HasSubstr("--hidden-weight X")));
  EXPECT_THAT(result.out, AllOf(Not(HasSubstr("align")), Not(HasSubstr("pretrain")))) << "stages that it does not have";
}

}  // namespace
}  // namespace striate::test
