// striate study from outside: a whole study of a tiny model, killed and gone on with, with one job and with two.
#include <gmock/gmock.h>

#include "tests/cli/train_world.h"

namespace striate::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class StudyCommand : public TrainCommand {
 protected:
  static std::string definition(const std::string& grid, const std::string& stages = {}) {
    return cat(
        "name = \"tiny\"\n[compute]\ndevice = \"cpu\"\nprecision = \"fp32\"\n"
        "[[model]]\nname = \"tiny\"\npath = \"model\"\n"
        "[[data]]\nname = \"numbers\"\ntrain = \"data.json\"\nimages = \"images\"\nalign = \"data.json\"\n"
        "[[benchmark]]\nname = \"numbers\"\nbenchmark = \"llava-json\"\ndata = \"asked.json\"\n"
        "images = \"asked\"\nlimit = 4\n"
        "[[loss]]\nname = \"numbers\"\ndata = \"data.json\"\nimages = \"images\"\nsamples = 6\n"
        "[tune]\nsteps = 4\nbatch = 4\nlora-r = 2\nlr = 1e-3\nmax-tokens = 200\nsave-every = 1\n[[grid]]\n",
        grid, stages);
  }
  static std::string stages() {
    return "[align]\nsteps = 2\nbatch = 4\nmax-tokens = 200\ntemplate = \"vicuna_v1\"\n"
           "[score]\nsamples = 4\n"
           "[revert]\nstrategy = \"uniform\"\nlayers = \"0\"\n"
           "[prune]\nremove = 1\nsamples = 4\nspaced = [true]\n"
           "[heal]\nstrategy = \"uniform\"\nremove = 1\nsamples = 4\n"
           "[heal.recipe]\nsteps = 2\nbatch = 4\nlora-r = 2\nmax-tokens = 200\n";
  }
  static void SetUpTestSuite() {
    TrainCommand::SetUpTestSuite();
    fs::copy(file("images"), file("asked"), fs::copy_options::recursive);
    fs::copy(data(), file("asked.json"));
  }
  static std::string write_definition(const std::string& name, const std::string& text) {
    write_file(file(name), text);
    return file(name);
  }
  static std::vector<std::string> run_of(const std::string& toml, const std::string& out, const std::string& jobs) {
    return {STRIATE_PROGRAM, "study", "run", toml, "--out", file(out), "--jobs", jobs};
  }
  // What the cells of a study measured and made, without times; by cell and file.
  static std::map<std::string, std::string> outcome_of(const std::string& out) {
    std::map<std::string, std::string> files;
    const fs::path cells = file(out + "/cells");
    for (const auto& entry : fs::recursive_directory_iterator(cells)) {
      const std::string name = entry.path().filename().string();
      const std::string place = fs::relative(entry.path(), cells).string();
      if (name == "cell.json") {
        json result = json::parse(read_file(entry.path()))["result"];
        result.erase("seconds");
        files[place] = result.dump();
      } else if (name == "answers.jsonl") {
        // One that was gone on with has them in another order.
        std::vector<std::string> lines = split(read_file(entry.path()), '\n');
        std::sort(lines.begin(), lines.end());
        files[place] = join(lines, "\n");
      } else if (name == "scores.json") {
        json scores = json::parse(read_file(entry.path()));
        scores.erase("settings");  // which name folders
        files[place] = scores.dump();
      } else if (name == "part.json" || name.ends_with(".safetensors")) {
        files[place] = read_file(entry.path());
      }
    }
    return files;
  }
  static json status_of(const std::string& out) {
    const CommandResult result = run_command({STRIATE_PROGRAM, "study", "status", "--out", file(out), "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json::parse(result.out);
  }
};

TEST_F(StudyCommand, AKilledStudyGoesOnAndEndsAsAnUnbrokenOneWithAnyNumberOfJobs) {
  const std::string toml = write_definition(
      "whole.toml",
      definition("strategy = [\"uniform\", \"score:bi\", \"all\"]\nsize = \"50%\"\nseed = 1\n", stages()));
  const auto begin = std::chrono::steady_clock::now();
  const CommandResult whole = run_command(run_of(toml, "whole", "2"));
  const double length = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  ASSERT_EQ(whole.exit_code, 0) << whole.err << whole.out;
  for (const double share : {0.3, 0.3, 0.3}) {
    Background running(run_of(toml, "killed", "1"));
    std::this_thread::sleep_for(std::chrono::duration<double>(length * share));
    running.send(SIGKILL);
    running.wait();
  }
  const CommandResult resumed = run_command(run_of(toml, "killed", "1"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err << resumed.out;
  const auto expected = outcome_of("whole"), found = outcome_of("killed");
  EXPECT_GT(expected.size(), 30U);
  for (const auto& [place, bytes] : expected) {
    ASSERT_TRUE(found.contains(place)) << place;
    EXPECT_TRUE(found.at(place) == bytes) << place << " differs";
  }
  EXPECT_EQ(found.size(), expected.size());
  const json status = status_of("killed");
  EXPECT_EQ(status["done"], status["cells"].size());
  const json results = json::parse(read_file(file("whole/results.json")));
  EXPECT_EQ(results["models"].size(), json::parse(read_file(file("killed/results.json")))["models"].size());
}

TEST_F(StudyCommand, WhatFailsIsNamedTheRestFinishesAndTheNextRunMendsIt) {
  const std::string toml =
      write_definition("failing.toml", definition("strategy = [\"top\", \"all\"]\nsize = 2\nseed = 1\n"));
  fs::rename(file("asked/p0.bmp"), file("p0.bmp"));
  const CommandResult failed = run_command(run_of(toml, "failing", "2"));
  fs::rename(file("p0.bmp"), file("asked/p0.bmp"));
  EXPECT_EQ(failed.exit_code, 1) << failed.out;
  EXPECT_THAT(failed.out, AllOf(HasSubstr("failed   ask-numbers-tiny-top-2-s1-"), HasSubstr("p0.bmp")));
  const json status = status_of("failing");
  EXPECT_EQ(status["failed"], 3);  // asked of the base and of two tuned models
  EXPECT_EQ(status["done"], 5);    // two tunings, three losses
  EXPECT_TRUE(fs::exists(file("failing/results.json")));
  const CommandResult mended = run_command(run_of(toml, "failing", "1"));
  EXPECT_EQ(mended.exit_code, 0) << mended.out;
  EXPECT_EQ(status_of("failing")["done"], 8);
}

TEST_F(StudyCommand, AFullDiskFailsTheCellsThatItMeetsAndLosesNothing) {
  const std::string toml = write_definition("disk.toml", definition("strategy = \"top\"\nsize = 1\nseed = 1\n"));
  const CommandResult full = run_command({"/bin/sh", "-c", cat("ulimit -f 16; exec \"$@\""), "sh", STRIATE_PROGRAM,
                                          "study", "run", toml, "--out", file("disk")});
  EXPECT_EQ(full.exit_code, 1) << full.out << full.err;
  EXPECT_THAT(full.out, HasSubstr("failed   tune-tiny-top-1-s1-"));
  const CommandResult later = run_command(run_of(toml, "disk", "1"));
  EXPECT_EQ(later.exit_code, 0) << later.out;
}

// With this weight decay the second rate makes weights a thousand million times as large in every step.
TEST_F(StudyCommand, ALearningRateThatDivergesIsNotChosenAndTheRestGoesOn) {
  std::string text = definition("strategy = [\"top\", \"score:param_change\", \"all\"]\nsize = 1\nseed = 1\n");
  const std::string rate = "lr = 1e-3\n";
  text.replace(text.find(rate), rate.size(),
               "learning-rates = [1e-4, 1e6]\nchosen-on-seed = 9\nchoose = \"visual-loss\"\nweight-decay = 1000\n"
               "schedule = \"constant\"\n");
  const CommandResult run = run_command(run_of(write_definition("rates.toml", text), "rates", "2"));
  ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
  const json results = json::parse(read_file(file("rates/results.json")));
  std::size_t tuned = 0, trials = 0;
  for (const json& model : results["models"]) {
    if (model["treatment"] != "tuned") continue;
    const json& tuning = model["tuning"];
    if (!tuning["trial"].get<bool>()) {
      ++tuned;
      EXPECT_DOUBLE_EQ(tuning["learning_rate"].get<double>(), 1e-4);
      EXPECT_TRUE(model["benchmarks"].contains("numbers")) << model["cell"];
      continue;
    }
    ++trials;
    EXPECT_EQ(model.contains("judged"), tuning["learning_rate"].get<double>() < 1) << model["cell"];
  }
  EXPECT_EQ(tuned, 3U);  // the model that says what tuning changes is that of "all"
  EXPECT_EQ(trials, 6U);
  EXPECT_THAT(read_file(file("rates/tables/rates.csv")), HasSubstr("\ntop,,1e+06,9,,"));
}

TEST_F(StudyCommand, WhatTuningChangesIsMeasuredOfModelsThatWereTunedWhole) {
  std::string text = definition("strategy = \"top\"\nsize = 1\nseed = 1\n", "[score]\nsamples = 4\ntuned = true\n");
  const std::string adapters = "lora-r = 2\n";
  text.replace(text.find(adapters), adapters.size(), "tune = \"full\"\n");
  text.insert(text.find("precision"), "cache-features = false\n");
  const CommandResult run = run_command(run_of(write_definition("full.toml", text), "full", "2"));
  ASSERT_EQ(run.exit_code, 0) << run.out << run.err;
  const json results = json::parse(read_file(file("full/results.json")));
  std::size_t scored = 0;
  for (const json& model : results["models"]) {
    if (!model["layer_scores"].contains("param_change")) continue;
    ++scored;
    const json& layers = model["layer_scores"]["param_change"];
    EXPECT_EQ(layers.front(), 0.0);
    EXPECT_GT(layers.back().get<double>(), 0);
  }
  EXPECT_EQ(scored, 1U);
  EXPECT_FALSE(fs::exists(file("full/features")));
  EXPECT_TRUE(fs::exists(file("full/cells")));
}

TEST_F(StudyCommand, ACellRunsByItsNumberOnceWhatItNeedsIsDone) {
  const std::string toml = write_definition("cells.toml", definition("strategy = \"top\"\nsize = 1\nseed = 1\n"));
  const CommandResult plan = run_command({STRIATE_PROGRAM, "study", "plan", toml, "--out", file("cells"), "--json"});
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  const json cells = json::parse(plan.out)["cells"];
  ASSERT_EQ(cells.size(), 5U);
  EXPECT_EQ(cells[2]["kind"], "tune");
  EXPECT_GT(cells[2]["seconds"].get<double>(), 0);
  const auto cell = [](const std::string& number) {
    return run_command({STRIATE_PROGRAM, "study", "cell", number, "--out", file("cells")});
  };
  expect_refusal(cell("5"), "which is not done");
  expect_refusal(cell("6"), "the study has cells 1 to 5");
  EXPECT_EQ(cell("3").exit_code, 0);
  EXPECT_EQ(cell("5").exit_code, 0);
  EXPECT_EQ(status_of("cells")["done"], 2);
  const CommandResult level =
      run_command({STRIATE_PROGRAM, "study", "plan", toml, "--out", file("cells"), "--level", "1"});
  EXPECT_EQ(level.out, "4,5\n");
}

TEST_F(StudyCommand, APlanCountsTheQuestionsThatWillBeAskedUnderALimit) {
  fs::create_directories(file("rotated"));
  write_file(file("rotated/MMBench_DEV_EN.tsv"),
             cat("index\tquestion\tA\tB\tanswer\tcategory\timage\n7\tWhich?\tcat\tdog\tA\tobject\t",
                 std::string(100, 'A'), "\n8\tWho?\tcat\tdog\tB\tobject\t7\n",
                 "1000007\tWhich?\tdog\tcat\tB\tobject\t7\n1000008\tWho?\tdog\tcat\tA\tobject\t7\n"));
  const std::string own = "benchmark = \"llava-json\"\ndata = \"asked.json\"\nimages = \"asked\"\n";
  const std::string toml = write_definition(
      "limits.toml",
      definition(
          "strategy = \"top\"\nsize = 1\nseed = 1\n",
          cat("[[benchmark]]\nname = \"rotated\"\nbenchmark = \"mmbench\"\ndata = \"rotated\"\nlimit = 3\n",
              "[[benchmark]]\nname = \"few\"\n", own, "limit = 1000\n", "[[benchmark]]\nname = \"every\"\n", own)));
  const CommandResult plan = run_command({STRIATE_PROGRAM, "study", "plan", toml, "--json"});
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  const json planned = json::parse(plan.out);
  const auto bytes_of_asking = [&](const std::string& benchmark) -> std::int64_t {
    for (const json& cell : planned.at("cells")) {
      if (cell.at("cell").get<std::string>().starts_with(cat("ask-", benchmark, "-"))) return cell.at("bytes");
    }
    ADD_FAILURE() << "nobody is asked " << benchmark;
    return 0;
  };
  EXPECT_EQ(bytes_of_asking("rotated"), bytes_of_asking("numbers"));  // two questions and their rotations: four
  EXPECT_EQ(bytes_of_asking("few"), bytes_of_asking("every"));        // there are no thousand
}

TEST_F(StudyCommand, AStudyThatMakesNoSenseIsRefusedBeforeAnythingRuns) {
  const std::string grid = "strategy = \"top\"\nsize = 1\nseed = 1\n";
  const auto refuse = [](const std::string& text, const std::string& what) {
    expect_refusal(run_command(run_of(write_definition("bad.toml", text), "bad", "1")), what);
    EXPECT_FALSE(fs::exists(file("bad")));
  };
  refuse(definition(grid, "[prune]\nmetrik = \"bi\"\n"), "unknown key \"metrik\"");
  refuse(definition("strategy = \"top\"\nsize = 5\n"), "5 layers are more than the decoder's 4");
  refuse(definition(grid, "[[benchmark]]\nbenchmark = \"gqa\"\ndata = \"gqa\"\n"), "gqa: no such file or folder");
  refuse(definition(grid, "[[model]]\nname = \"other\"\npath = \"absent\"\n"), "absent: no such file or folder");
  const std::string good = write_definition("good.toml", definition(grid));
  expect_refusal(run_command(run_of(good, "images", "1")), "exists and is not a study's folder");
}

}  // namespace
}  // namespace striate::test
