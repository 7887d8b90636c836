// Padding and cropping from outside: training pads unless told otherwise, records it, and what follows keeps to it.
#include <gmock/gmock.h>

#include "tests/cli/train_world.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// A picture twice as wide as high, whose padding shows.
std::string wide_picture() {
  constexpr std::uint32_t kWidth = 40;
  constexpr std::uint32_t kHeight = 20;
  std::string bmp = "BM";
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) bmp += static_cast<char>(value >> (8 * i));
  };
  put(54 + kWidth * kHeight * 3, 4), put(0, 4), put(54, 4), put(40, 4), put(kWidth, 4), put(kHeight, 4);
  put(1, 2), put(24, 2);
  for (int i = 0; i < 6; ++i) put(0, 4);
  for (std::uint32_t i = 0; i < kWidth * kHeight * 3; ++i) bmp += static_cast<char>((i * 57 + i / 120 * 13) % 256);
  return bmp;
}

class ImageAspect : public TrainCommand {
 protected:
  // A llava-hf folder as published: its processor does not say do_pad, so that transformers crops.
  static void SetUpTestSuite() {
    TrainCommand::SetUpTestSuite();
    const fs::path processor = fs::path(model()) / "preprocessor_config.json";
    json settings = json::parse(read_file(processor));
    settings.erase("do_pad");
    settings["image_processor_type"] = "CLIPImageProcessor";
    write_file(processor, settings.dump());
    write_file(file("wide.bmp"), wide_picture());
  }

  // The logits file of one answer about the wide picture.
  static std::string answer(const std::vector<std::string>& which) {
    std::vector<std::string> all = {STRIATE_PROGRAM, "chat",     "--json",       "--precision",    "fp32",
                                    "--max-tokens",  "2",        "--image",      file("wide.bmp"), "--prompt",
                                    "What is it?",   "--logits", file("logits"), "--threads",      "1"};
    all.insert(all.end(), which.begin(), which.end());
    const CommandResult result = run_command(all);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return read_file(file("logits"));
  }
  static json json_of(const std::string& name) { return json::parse(read_file(file(name))); }
  static CommandResult striate(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), STRIATE_PROGRAM);
    return run_command(arguments);
  }
};

TEST_F(ImageAspect, ChatCropsAFolderThatDoesNotSayDoPadUnlessAsked) {
  const std::string usual = answer({"--model", model()});
  EXPECT_EQ(usual, answer({"--model", model(), "--image-aspect", "crop"}));
  EXPECT_NE(usual, answer({"--model", model(), "--image-aspect", "pad"}));
}

TEST_F(ImageAspect, TrainingPadsRecordsItAndChatFollows) {
  ASSERT_EQ(train("padded", {"--steps", "1"}).exit_code, 0);
  EXPECT_EQ(json_of("padded/striate.json")["image_aspect"], "pad");
  EXPECT_EQ(json_of("padded/run.json")["settings"]["image-aspect"], "pad");
  const std::string followed = answer({"--model", model(), "--adapter", file("padded")});
  EXPECT_EQ(followed, answer({"--model", model(), "--adapter", file("padded"), "--image-aspect", "pad"}));
  EXPECT_NE(followed, answer({"--model", model(), "--adapter", file("padded"), "--image-aspect", "crop"}));
}

TEST_F(ImageAspect, TrainingCropsWhereItIsToldTo) {
  ASSERT_EQ(train("cropped", {"--steps", "1", "--image-aspect", "crop"}).exit_code, 0);
  EXPECT_EQ(json_of("cropped/striate.json")["image_aspect"], "crop");
  EXPECT_EQ(answer({"--model", model(), "--adapter", file("cropped")}),
            answer({"--model", model(), "--adapter", file("cropped"), "--image-aspect", "crop"}));
}

TEST_F(ImageAspect, AMergedModelSaysWhatTrainingUsed) {
  ASSERT_EQ(train("for_export", {"--steps", "1"}).exit_code, 0);
  const CommandResult result =
      striate({"export", "--model", model(), "--adapter", file("for_export"), "--out", file("merged")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json settings = json_of("merged/preprocessor_config.json");
  EXPECT_EQ(settings["do_pad"], true);
  EXPECT_EQ(settings["image_processor_type"], "LlavaImageProcessor");
  EXPECT_EQ(answer({"--model", file("merged")}), answer({"--model", file("merged"), "--image-aspect", "pad"}));
}

TEST_F(ImageAspect, AFullyTunedModelSaysWhatTrainingUsed) {
  ASSERT_EQ(train("whole", {"--steps", "1", "--tune", "full"}).exit_code, 0);
  EXPECT_EQ(json_of("whole/preprocessor_config.json")["do_pad"], true);
  ASSERT_EQ(train("whole_cropped", {"--steps", "1", "--tune", "full", "--image-aspect", "crop"}).exit_code, 0);
  EXPECT_EQ(json_of("whole_cropped/preprocessor_config.json")["do_pad"], false);
}

TEST_F(ImageAspect, APrunedModelSaysWhatTrainingUsed) {
  ASSERT_EQ(train("for_pruning", {"--steps", "1"}).exit_code, 0);
  const CommandResult result = striate(
      {"prune", "--model", model(), "--adapter", file("for_pruning"), "--layers", "2", "--out", file("pruned")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(json_of("pruned/preprocessor_config.json")["do_pad"], true);
}

TEST_F(ImageAspect, AnExportedAdapterKeepsWhatTrainingUsed) {
  ASSERT_EQ(train("for_peft", {"--steps", "1"}).exit_code, 0);
  const CommandResult result =
      striate({"export", "--model", model(), "--adapter", file("for_peft"), "--format", "peft", "--out", file("peft")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(json_of("peft/striate.json")["image_aspect"], "pad");
}

TEST_F(ImageAspect, AModelThatIsOnlyCopiedIsLeftAsItSays) {
  const CommandResult result = striate({"export", "--model", model(), "--out", file("copied")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(json_of("copied/preprocessor_config.json"), json_of("model/preprocessor_config.json"));
}

TEST_F(ImageAspect, ARunCannotBeResumedWithAnotherAspect) {
  ASSERT_EQ(train("resumed", {"--steps", "2", "--save-every", "1"}).exit_code, 0);
  const CommandResult result =
      train("resumed", {"--steps", "2", "--save-every", "1", "--resume", "--image-aspect", "crop"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("--image-aspect"));
}

TEST_F(ImageAspect, EveryCommandThatReadsPicturesHasTheFlag) {
  for (const char* name : {"chat", "train", "heal", "score", "prune", "export", "plan", "inspect"}) {
    EXPECT_THAT(striate({name, "--help"}).out, HasSubstr("--image-aspect")) << name;
  }
  EXPECT_THAT(striate({"data", "check", "--help"}).out, HasSubstr("--image-aspect"));
}

}  // namespace
}  // namespace striate::test
