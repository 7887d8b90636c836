// striate train with the layers outside the region in fewer bits, seen from outside.
#include <gmock/gmock.h>

#include <numeric>

#include "tests/cli/train_world.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using testing::HasSubstr;

class TrainFrozen : public TrainCommand {
 protected:
  static std::vector<std::string> flags(const std::string& precision) {
    return {"--steps", "24", "--save-every", "12", "--frozen-precision", precision};
  }
  static double mean_loss(const std::vector<nlohmann::json>& lines, std::size_t first, std::size_t end) {
    double sum = 0;
    for (std::size_t i = first; i < end; ++i) sum += lines[i].at("loss").get<double>();
    return sum / static_cast<double>(end - first);
  }
  static nlohmann::json json_of(const std::string& name) { return nlohmann::json::parse(read_file(file(name))); }
};

TEST_F(TrainFrozen, EveryPrecisionLearnsSaysSoAndResumesBitIdentical) {
  std::map<std::string, std::string> adapters;
  for (const std::string precision : {"bf16", "int8", "fp8", "nf4"}) {
    SCOPED_TRACE(precision);
    const CommandResult run = train(precision, flags(precision));
    ASSERT_EQ(run.exit_code, 0) << run.err;
    const auto lines = metrics_of(file(precision));
    ASSERT_EQ(lines.size(), 24U);
    EXPECT_LT(mean_loss(lines, 18, 24), 0.9 * mean_loss(lines, 0, 6));
    for (const nlohmann::json& settings :
         {json_of(precision + "/run.json").at("settings"), json_of(precision + "/striate.json").at("settings")}) {
      EXPECT_EQ(settings.value("frozen-precision", "bf16"), precision);
    }
    const std::string adapter = read_file(fs::path(file(precision)) / "adapter_model.safetensors");
    for (const auto& [other, written] : adapters) EXPECT_TRUE(written != adapter) << "as with " << other;
    adapters[precision] = adapter;

    // As if it had been stopped after its first checkpoint.
    const std::string again = precision + "_again";
    fs::copy(file(precision), file(again), fs::copy_options::recursive);
    fs::remove_all(file(again + "/checkpoints/step-000024"));
    fs::remove(file(again + "/adapter_model.safetensors"));
    auto more = flags(precision);
    more.emplace_back("--resume");
    const CommandResult resumed = train(again, more);
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_THAT(resumed.err, HasSubstr("step-000012"));
    expect_same_run(precision, again, "step-000024");
  }
  // A run goes on in the precision that it began in.
  for (const auto& [precision, other] : {std::pair<std::string, std::string>{"nf4", "int8"}, {"bf16", "fp8"}}) {
    auto changed = flags(other);
    changed.emplace_back("--resume");
    const std::string saved = precision == "bf16" ? "not set" : cat("\"", precision, "\"");
    expect_refusal(train(precision, changed), cat("--frozen-precision: \"", other, "\" now, ", saved, " in "));
  }
  auto unsaid = flags("bf16");
  unsaid.emplace_back("--resume");
  expect_refusal(train("nf4", unsaid), "--frozen-precision: not set now, \"nf4\" in ");
}

TEST_F(TrainFrozen, StagesAndConfigurationFilesTakeItAndARunWithoutFrozenLayersDoesNot) {
  const CommandResult aligned = run_command(without(
      command("aligned", {"--stage", "align", "--steps", "2", "--template", "vicuna_v1", "--frozen-precision", "nf4"}),
      {"--layers", "--lr"}));
  EXPECT_EQ(aligned.exit_code, 0) << aligned.err;
  write_file(file("frozen.toml"), "frozen-precision = \"int8\"\n");
  const CommandResult configured = train("configured", {"--steps", "2", "--config", file("frozen.toml")});
  ASSERT_EQ(configured.exit_code, 0) << configured.err;
  EXPECT_EQ(json_of("configured/run.json").at("settings").at("frozen-precision"), "int8");
  EXPECT_EQ(json_of("configured/run.json").at("arguments").at("frozen-precision"), "int8");

  const std::string nothing = "--frozen-precision nf4 does not apply: every layer is trained";
  expect_refusal(train("all", {"--layers", "all", "--steps", "2", "--frozen-precision", "nf4"}), nothing);
  expect_refusal(
      run_command(without(command("pretrained", {"--stage", "pretrain", "--steps", "2", "--frozen-precision", "nf4"}),
                          {"--layers"})),
      nothing);
  expect_refusal(train("other", {"--steps", "2", "--frozen-precision", "nf5"}), "--frozen-precision nf5: unknown");
}

}  // namespace
}  // namespace striate::test
