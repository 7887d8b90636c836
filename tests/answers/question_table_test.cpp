// Benchmarks out of VLMEvalKit's TSV files and Hugging Face's Parquet files, with the pictures inside them.
#include "striate/answers/question_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/answers/benchmark.h"
#include "striate/base/base64.h"
#include "striate/base/strings.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using testing::SizeIs;

using Texts = std::vector<std::string>;

std::string picture_bytes(char letter) {
  return std::string(90, letter);
}

std::string cell(char letter) {
  return base64_of(picture_bytes(letter));
}

// The bytes of a question's pictures.
Texts pictures_shown(const QuestionSet& set, std::size_t question) {
  Texts shown;
  for (const std::string& name : set.questions.at(question).pictures) {
    shown.push_back(set.pictures ? set.pictures->bytes(name).value_or("") : "");
  }
  return shown;
}

std::string prompt_of(const std::string& benchmark, const std::string& protocol, const QuestionSet& set,
                      std::size_t i) {
  return find_protocol(find_benchmark(benchmark), protocol).prompt(set.questions.at(i), set);
}

class KitTable : public testing::Test {
 protected:
  QuestionSet read(const std::string& benchmark, const std::string& name, const std::string& text) const {
    write_file(folder_.path() / name, text);
    return read_questions(find_benchmark(benchmark), folder_.path());
  }

  test::TemporaryFolder folder_;
};

TEST_F(KitTable, MmbenchHasRotationsAndOptionsThatPandasDoesNotSee) {
  const QuestionSet set = read("mmbench", "MMBench_DEV_EN.tsv",
                               cat("index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\timage\tl2-category\n",
                                   "7\tWhich?\tNA\tcat\tNone\tdog\t\tA\tobject\t", cell('a'), "\tperception\n",
                                   "1000007\tWhich?\t\tdog\tcat\tNone\t\tB\tobject\t7\tperception\n"));
  ASSERT_THAT(set.questions, SizeIs(2));
  EXPECT_EQ(set.questions[1].group, "7");
  EXPECT_EQ(set.questions[0].hint, "");
  EXPECT_THAT(set.questions[0].options, ElementsAre("cat", "None", "dog"));
  EXPECT_EQ(set.questions[0].missing_options, "B");
  EXPECT_EQ(pictures_shown(set, 0), Texts{picture_bytes('a')});
  EXPECT_EQ(set.questions[1].pictures, set.questions[0].pictures);
  EXPECT_THAT(set.notes,
              ElementsAre(HasSubstr("that pandas reads as missing (\"None\", \"NA\", ...): 2, of 2 questions")));
  EXPECT_THAT(prompt_of("mmbench", "llava", set, 0), HasSubstr("\nA. cat\nAnswer"));
  EXPECT_THAT(prompt_of("mmbench", "vlmevalkit", set, 0), HasSubstr("\nA. cat\nC. dog\nAnswer"));
  EXPECT_THAT(prompt_of("mmbench", "lmms-eval", set, 0), HasSubstr("\nA. cat\nB. None\nC. dog\n"));
  const Protocol& kit = find_protocol(find_benchmark("mmbench"), "vlmevalkit");
  EXPECT_TRUE(kit.judge(set.questions[0], "B").unparsed);
  EXPECT_EQ(kit.judge(set.questions[0], "A").score, 1);
}

TEST_F(KitTable, SeedScienceqaAndMmmuHaveOptionsInColumns) {
  const std::string rest = cat("1\tHow many?\tone\ttwo\tB\tcounting\t", cell('s'), "\n");
  const QuestionSet seed = read("seed", "SEEDBench_IMG.tsv", "index\tquestion\tA\tB\tanswer\tcategory\timage\n" + rest);
  EXPECT_THAT(seed.questions.at(0).options, ElementsAre("one", "two"));
  EXPECT_EQ(seed.questions[0].kinds.at("type"), Texts{"counting"});
  const QuestionSet science =
      read("scienceqa", "ScienceQA_TEST.tsv", "index\tquestion\tA\tB\tanswer\tcategory\timage\n" + rest);
  EXPECT_EQ(science.questions.at(0).kinds.at("modality"), Texts{"picture"});
  EXPECT_EQ(pictures_shown(science, 0), Texts{picture_bytes('s')});
  const QuestionSet mmmu = read(
      "mmmu", "MMMU_DEV_VAL.tsv",
      cat("index\tid\tquestion\tA\tB\tanswer\tcategory\tsplit\timage\n1\tdev_Art_1\tq\ta\tb\tA\tArt\tdev\t", cell('d'),
          "\n2\tvalidation_Art_Theory_3\t<image 1> or <image 2>?\ta\tb\tB\tArt Theory\tvalidation\t\"['", cell('v'),
          "', '", cell('w'), "']\"\n"));
  ASSERT_THAT(mmmu.questions, SizeIs(1));
  EXPECT_EQ(mmmu.questions[0].kinds.at("subject"), Texts{"Art_Theory"});
  EXPECT_EQ(pictures_shown(mmmu, 0), (Texts{picture_bytes('v'), picture_bytes('w')}));
  EXPECT_THAT(prompt_of("mmmu", "vlmevalkit", mmmu, 0), HasSubstr(" <image>  <image> <image 1> or <image 2>?\nA. a"));
}

TEST_F(KitTable, OpenQuestionsOfMmmuAreChoicesForVlmevalkitAndNoneIsNoOption) {
  const auto row = [](int index, const std::string& cells) {
    return cat(index, "\tvalidation_Math_", index, "\tWhich?\t", cells, "\tMath\tvalidation\t", cell('a'), "\n");
  };
  const QuestionSet set =
      read("mmmu", "MMMU_DEV_VAL.tsv",
           cat("index\tid\tquestion\tA\tB\tC\tanswer\tcategory\tsplit\timage\n", row(1, "\t\t\t24"),
               row(2, "\t\t\t\"['4', 'four']\""), row(3, "one\tNone\ttwo\tC"), row(4, "None\tone\ttwo\tB")));
  ASSERT_THAT(set.questions, SizeIs(4));
  const Benchmark& mmmu = find_benchmark("mmmu");
  const auto judged = [&](const char* protocol, std::size_t question, const char* text) {
    return find_protocol(mmmu, protocol).judge(set.questions[question], text);
  };
  EXPECT_EQ(prompt_of("mmmu", "vlmevalkit", set, 0), " <image> Which?\nAnswer the question directly.");
  EXPECT_EQ(judged("vlmevalkit", 0, "It is 24.").score, 1);
  EXPECT_EQ(judged("vlmevalkit", 0, "A").score, 1);
  EXPECT_EQ(judged("vlmevalkit", 0, "other answers").score, 0);
  EXPECT_TRUE(judged("vlmevalkit", 0, "So the result of all these long calculations is 24").unparsed);
  EXPECT_EQ(judged("llava", 0, "So the result of all these long calculations is 24").score, 1);
  EXPECT_EQ(set.questions[1].references, (Texts{"4", "four"}));
  EXPECT_EQ(judged("llava", 1, "four").score, 1);
  EXPECT_TRUE(judged("vlmevalkit", 1, "four").unparsed);  // A is the list as it is written
  EXPECT_THAT(prompt_of("mmmu", "vlmevalkit", set, 2), HasSubstr("Which?\nA. one\nC. two\nAnswer"));
  EXPECT_THAT(prompt_of("mmmu", "lmms-eval", set, 2), HasSubstr("Which?\nA. one\nB. None\nC. two\n"));
  EXPECT_TRUE(judged("vlmevalkit", 2, "B").unparsed);
  EXPECT_EQ(judged("vlmevalkit", 2, "C").score, 1);
  EXPECT_EQ(judged("vlmevalkit", 3, "Other Answers").score, 1);  // without an option A it counts as open, too
  EXPECT_THAT(set.notes, ElementsAre(HasSubstr("2, of 2 questions")));
}

TEST_F(KitTable, YesOrNoTablesHaveSplitsAndPairs) {
  const QuestionSet pope =
      read("pope", "POPE.tsv",
           cat("index\timage\tquestion\tanswer\tcategory\n5\t", cell('p'), "\tIs there a car?\tNo\tpopular,random\n"));
  EXPECT_EQ(pope.questions.at(0).kinds.at("split"), (Texts{"popular", "random"}));
  EXPECT_EQ(pope.questions[0].references, Texts{"no"});
  const QuestionSet mme =
      read("mme", "MME.tsv",
           cat("index\timage\tquestion\tanswer\tcategory\timage_path\n1\t", cell('m'),
               "\tIs it red? Please answer yes or no.\tYes\tcolor\tcolor/1.jpg\n2\t1\tIs it blue? Please answer yes or "
               "no.\tNo\tcolor\tcolor/1.jpg\n"));
  ASSERT_THAT(mme.questions, SizeIs(2));
  EXPECT_EQ(mme.questions[0].group, mme.questions[1].group);
  EXPECT_EQ(mme.questions[0].publisher_id, "1");
  EXPECT_EQ(pictures_shown(mme, 1), Texts{picture_bytes('m')});
}

TEST_F(KitTable, OpenQuestionsHaveListsOfAnswers) {
  const std::string ten = "\"['a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', \"\"b's\"\", 'c']\"";
  const QuestionSet text =
      read("textvqa", "TextVQA_VAL.tsv", cat("index\timage\tquestion\tanswer\n1\t", cell('t'), "\tWhat?\t", ten, "\n"));
  EXPECT_THAT(text.questions.at(0).references, SizeIs(10));
  EXPECT_EQ(text.questions[0].references[8], "b's");
  const QuestionSet doc = read("docvqa", "DocVQA_VAL.tsv",
                               cat("index\timage\tquestion\tanswer\n1\t", cell('d'), "\tWhen?\t['1/8', '1-8']\n"));
  EXPECT_EQ(doc.questions.at(0).references, (Texts{"1/8", "1-8"}));
  const QuestionSet ocr = read("ocrvqa", "OCRVQA_TESTCORE.tsv",
                               cat("index\timage\tquestion\tanswer\n1\t", cell('o'), "\tWho?\tA. Author\n"));
  EXPECT_EQ(ocr.questions.at(0).references, Texts{"A. Author"});
  const QuestionSet gqa =
      read("gqa", "GQA_TestDev_Balanced.tsv", cat("index\timage\tquestion\tanswer\n1\t", cell('g'), "\tIs it?\tno\n"));
  EXPECT_EQ(gqa.questions.at(0).references, Texts{"no"});
  EXPECT_EQ(pictures_shown(gqa, 0), Texts{picture_bytes('g')});
}

TEST_F(KitTable, APublishersOwnFilesComeBeforeTables) {
  write_file(folder_.path() / "GQA_TestDev_Balanced.tsv", "index\timage\tquestion\tanswer\n1\t\tIs it?\tno\n");
  const QuestionSet set = read("gqa", "testdev_balanced_questions.json",
                               R"({"9": {"question": "Was it?", "answer": "yes", "imageId": "n1"}})");
  ASSERT_THAT(set.questions, SizeIs(1));
  EXPECT_EQ(set.questions[0].text, "Was it?");
  const QuestionSet table = read_questions(find_benchmark("gqa"), folder_.path() / "GQA_TestDev_Balanced.tsv");
  EXPECT_EQ(table.questions.at(0).text, "Is it?");
}

class HubTable : public testing::Test {
 protected:
  QuestionSet read(const std::string& benchmark) const {
    return read_questions(find_benchmark(benchmark), test::sources() / "tests/tables/parquet" / benchmark);
  }
  void SetUp() override {
    try {
      read("pope");
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kUnsupported) GTEST_SKIP() << error.what();
      throw;
    }
  }
};

TEST_F(HubTable, MultipleChoiceIsReadInTheColumnsOfEachDataSet) {
  const QuestionSet mmbench = read("mmbench");
  ASSERT_THAT(mmbench.questions, SizeIs(2));
  EXPECT_THAT(mmbench.questions[1].options, ElementsAre("dog", "None", "cat"));
  EXPECT_EQ(mmbench.questions[1].hint, "");
  EXPECT_EQ(mmbench.questions[1].kinds.at("ability"), Texts{"perception"});
  EXPECT_EQ(pictures_shown(mmbench, 1), Texts{"picture 1"});
  const QuestionSet seed = read("seed");
  ASSERT_THAT(seed.questions, SizeIs(2));  // the video is left out
  EXPECT_EQ(seed.questions[1].publisher_id, "103");
  EXPECT_EQ(seed.questions[1].picture_id, "3");
  EXPECT_EQ(pictures_shown(seed, 1), Texts{"picture 4"});
  const QuestionSet science = read("scienceqa");
  ASSERT_THAT(science.questions, SizeIs(2));
  EXPECT_EQ(science.questions[0].references, Texts{"B"});
  EXPECT_THAT(science.questions[1].pictures, SizeIs(0));
  const QuestionSet mmmu = read("mmmu");
  ASSERT_THAT(mmmu.questions, SizeIs(2));
  EXPECT_THAT(mmmu.questions[0].options, ElementsAre("It's 5", "$6", "7"));
  EXPECT_EQ(pictures_shown(mmmu, 1), Texts{"picture 2"});
  EXPECT_THAT(mmmu.questions[0].pictures[0], HasSubstr("Accounting/"));
}

TEST_F(HubTable, OtherQuestionsAreReadInTheColumnsOfEachDataSet) {
  const QuestionSet pope = read("pope");
  ASSERT_THAT(pope.questions, SizeIs(2));
  EXPECT_NE(pope.questions[0].id, pope.questions[1].id);
  EXPECT_NE(pope.questions[0].pictures, pope.questions[1].pictures);  // the same bytes in two rows
  EXPECT_EQ(resampling_unit(pope.questions[0]), resampling_unit(pope.questions[1]));
  const QuestionSet mme = read("mme");
  EXPECT_EQ(mme.questions.at(1).group, "code_reasoning/0020");
  EXPECT_EQ(mme.questions[1].references, Texts{"no"});
  const QuestionSet text = read("textvqa");
  EXPECT_THAT(text.questions.at(0).references, SizeIs(10));
  EXPECT_EQ(text.questions[0].picture_id, "003a8ae2ef43b901");
  const QuestionSet doc = read("docvqa");
  EXPECT_EQ(doc.questions.at(0).kinds.at("type"), (Texts{"handwritten", "form"}));
  EXPECT_EQ(pictures_shown(doc, 0), Texts{"picture 1"});
  const QuestionSet vqa = read("vqav2");
  EXPECT_THAT(vqa.questions.at(0).references, SizeIs(10));
  EXPECT_EQ(vqa.questions[0].picture_id, "262148");
  const QuestionSet gqa = read("gqa");
  EXPECT_EQ(gqa.questions.at(0).pictures, Texts{"n161313.jpg"});
  EXPECT_EQ(gqa.questions[0].kinds.at("structural type"), Texts{"verify"});
  EXPECT_EQ(pictures_shown(gqa, 0), Texts{"picture 2"});
  EXPECT_EQ(read("mmlu").questions.at(1).references, Texts{"D"});
  EXPECT_THAT(read("gsm8k").questions.at(0).references[0], HasSubstr("#### 5"));
}

}  // namespace
}  // namespace striate
