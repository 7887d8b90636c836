// The files of visual benchmarks as their publishers ship them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/answers/benchmark_folder.h"

namespace striate {
namespace {

using nlohmann::json;
using test::Texts;
using testing::HasSubstr;

constexpr const char* kWord = "\nAnswer the question using a single word or phrase.";
constexpr const char* kLetter = "\nAnswer with the option's letter from the given choices directly.";

class VisualFiles : public test::BenchmarkFolder {};

TEST_F(VisualFiles, GqaIsAnObjectOfQuestionsByTheirNumbers) {
  put("testdev_balanced_questions.json",
      json{{"201640614",
            {{"semantic",
              {{{"operation", "select"}, {"dependencies", json::array()}, {"argument", "ground (722332)"}},
               {{"operation", "verify color"}, {"dependencies", {0}}, {"argument", "brown"}},
               {{"operation", "exist"}, {"dependencies", {1}}, {"argument", "?"}}}},
             {"entailed", json::array()},
             {"equivalent", {"201640614"}},
             {"question", "Is the ground brown?"},
             {"imageId", "n161313"},
             {"isBalanced", true},
             {"groups", {{"global", nullptr}, {"local", "06-ground_brown"}}},
             {"answer", "yes"},
             {"semanticStr", "select: ground (722332)->verify color: brown [0]"},
             {"types", {{"detailed", "verifyAttr"}, {"semantic", "attr"}, {"structural", "verify"}}},
             {"fullAnswer", "Yes, the ground is brown."}}},
           {"2", {{"question", "Left out?"}, {"imageId", "n1"}, {"isBalanced", false}, {"answer", "no"}}}});
  const QuestionSet set = read("gqa");
  ASSERT_EQ(set.questions.size(), 1U);
  const Question& question = set.questions[0];
  EXPECT_EQ(question.id, "201640614");
  EXPECT_EQ(question.references, Texts{"yes"});
  EXPECT_EQ(question.pictures, Texts{"n161313.jpg"});
  EXPECT_EQ(question.kinds.at("structural type"), Texts{"verify"});
  EXPECT_EQ(question.kinds.at("semantic type"), Texts{"attr"});
  EXPECT_EQ(question.kinds.at("answer"), Texts{"binary"});
  EXPECT_EQ(question.kinds.at("steps"), Texts{"2"});  // the one that asks whether it exists does not count
  EXPECT_EQ(question.kinds.at("words"), Texts{"4"});
  EXPECT_FALSE(question.kinds.contains("group"));
  EXPECT_EQ(prompt("gqa", "llava", set, 0), cat("<image>\nIs the ground brown?", kWord));
}

TEST_F(VisualFiles, LlavasGqaQuestionsCanBeAskedButNotScored) {
  put("llava_gqa_testdev_balanced.jsonl",
      json{{"question_id", "1"}, {"image", "n1.jpg"}, {"text", cat("Is it red?", kWord)}, {"category", "default"}});
  const QuestionSet set = read("gqa");
  EXPECT_EQ(set.questions.at(0).text, "Is it red?");
  ASSERT_TRUE(set.no_references);
  EXPECT_THAT(set.no_references->what(), HasSubstr("testdev_balanced_questions"));
}

json ten_answers(const std::string& eight, const std::string& two) {
  json list = json::array();
  for (int i = 0; i < 10; ++i) list.push_back(i < 8 ? eight : two);
  return list;
}

TEST_F(VisualFiles, TextvqaHasTenAnswersAndBunnysFileTheOcrTokens) {
  put("TextVQA_0.5.1_val.json", json{{"dataset_type", "val"},
                                     {"dataset_name", "textvqa"},
                                     {"dataset_version", "0.5.1"},
                                     {"data",
                                      {{{"question", "what is the brand of this camera?"},
                                        {"image_id", "003a8ae2ef43b901"},
                                        {"image_classes", {"Cassette deck"}},
                                        {"flickr_original_url", "https://farm2.staticflickr.com/4/567_o.jpg"},
                                        {"image_width", 1024},
                                        {"image_height", 664},
                                        {"answers", ten_answers("dakota", "dakota digital")},
                                        {"question_tokens", {"what"}},
                                        {"question_id", 34602},
                                        {"set_name", "val"}}}}});
  const std::string asked = cat("what is the brand of this camera?\nReference OCR token: DAKOTA, DIGITAL", kWord);
  put("bunny_textvqa_val_v051_ocr.jsonl",
      json{{"question_id", "003a8ae2ef43b901"}, {"image", "003a8ae2ef43b901.jpg"}, {"text", asked}});
  const QuestionSet set = read("textvqa");
  ASSERT_EQ(set.questions.size(), 1U);
  EXPECT_EQ(set.questions[0].references.size(), 10U);
  EXPECT_EQ(set.questions[0].references[9], "dakota digital");
  EXPECT_EQ(set.questions[0].pictures, Texts{"003a8ae2ef43b901.jpg"});
  EXPECT_EQ(prompt("textvqa", "llava", set, 0), cat("<image>\n", asked));
  EXPECT_EQ(prompt("textvqa", "strict", set, 0), cat("<image>\nwhat is the brand of this camera?", kWord));
  EXPECT_EQ(prompt("textvqa", "lmms-eval", set, 0), cat("<image>\nWhat is the brand of this camera?", kWord));
  put("bunny_textvqa_val_v051_ocr.jsonl", json{{"question_id", "other"}, {"image", "o.jpg"}, {"text", asked}});
  EXPECT_THAT(refusal("textvqa"), HasSubstr("the question is not in"));
}

TEST_F(VisualFiles, VqaHasQuestionsAndAnnotationsApart) {
  json answers = json::array();
  for (int i = 1; i <= 10; ++i) {
    answers.push_back({{"answer", i < 4 ? "net" : "racket"}, {"answer_confidence", "yes"}, {"answer_id", i}});
  }
  put("v2_OpenEnded_mscoco_val2014_questions.json",
      json{{"info", {{"version", "2.0"}}},
           {"task_type", "Open-Ended"},
           {"data_type", "mscoco"},
           {"questions", {{{"image_id", 262148}, {"question", "What is he on top of?"}, {"question_id", 262148002}}}}});
  put("v2_mscoco_val2014_annotations.json", json{{"annotations",
                                                  {{{"question_type", "what is"},
                                                    {"multiple_choice_answer", "racket"},
                                                    {"answers", answers},
                                                    {"image_id", 262148},
                                                    {"answer_type", "other"},
                                                    {"question_id", 262148002}}}}});
  const QuestionSet set = read("vqav2");
  const Question& question = set.questions.at(0);
  EXPECT_EQ(question.id, "262148002");
  EXPECT_EQ(question.pictures, Texts{"COCO_val2014_000000262148.jpg"});
  EXPECT_EQ(question.references.size(), 10U);
  EXPECT_EQ(question.kinds.at("answer"), Texts{"other"});
}

TEST_F(VisualFiles, VqaTestDevIsAskedAndNotScored) {
  put("bunny_vqav2_mscoco_test-dev2015.jsonl", json{{"question_id", 262144000},
                                                    {"image", "COCO_test2015_000000262144.jpg"},
                                                    {"text", cat("Is the ball flying?", kWord)},
                                                    {"category", "default"}});
  const QuestionSet set = read("vqav2");
  EXPECT_EQ(set.questions.at(0).text, "Is the ball flying?");
  EXPECT_TRUE(set.no_references);
}

TEST_F(VisualFiles, PopeFindsLabelsBySplitPictureAndQuestion) {
  for (const char* split : {"random", "adversarial"}) {
    const bool random = std::string_view(split) == "random";
    std::string lines;
    for (const char* thing : {"snowboard", "car"}) {
      lines += json{{"question_id", thing[0] == 's' ? 1 : 2},
                    {"image", "COCO_val2014_000000310196.jpg"},
                    {"text", cat("Is there a ", thing, " in the image?")},
                    {"label", random ? "yes" : "no"}}
                   .dump() +
               "\n";
    }
    put(cat("coco/coco_pope_", split, ".json"), lines);
  }
  QuestionSet set = read("pope");
  ASSERT_EQ(set.questions.size(), 4U);
  EXPECT_EQ(set.questions[0].id, "adversarial/1");
  EXPECT_EQ(set.questions[0].references, Texts{"no"});
  put("llava_pope_test.jsonl", json{{"question_id", 9},
                                    {"image", "COCO_val2014_000000310196.jpg"},
                                    {"text", cat("Is there a snowboard in the image?", kWord)},
                                    {"category", "random"}});
  set = read("pope");
  ASSERT_EQ(set.questions.size(), 1U);
  EXPECT_EQ(set.questions[0].id, "9");
  EXPECT_EQ(set.questions[0].references, Texts{"yes"});
  EXPECT_EQ(set.questions[0].kinds.at("split"), Texts{"random"});
  EXPECT_EQ(prompt("pope", "vlmevalkit", set, 0), " <image> Is there a snowboard in the image?");
}

TEST_F(VisualFiles, MmeIsAFolderForEachTaskWithTwoLinesForEachPicture) {
  const std::string two =
      "Is there a total of one person? Please answer yes or no.\tYes\nAre there 2 people? Please answer yes or "
      "no.\tNo\n";
  put("MME_Benchmark_release_version/count/000000006040.txt", two);
  put("MME_Benchmark_release_version/count/000000006040.jpg", std::string("x"));
  put("MME_Benchmark_release_version/landmark/questions_answers_YN/ab12.txt", two);
  put("MME_Benchmark_release_version/landmark/images/ab12.jpg", std::string("x"));
  QuestionSet set = read("mme");
  ASSERT_EQ(set.questions.size(), 4U);
  EXPECT_EQ(set.questions[0].id, "count/000000006040.jpg#1");
  EXPECT_EQ(set.questions[0].references, Texts{"yes"});
  EXPECT_EQ(set.questions[1].references, Texts{"no"});
  EXPECT_EQ(set.questions[0].group, set.questions[1].group);
  EXPECT_EQ(set.questions[2].pictures, Texts{"landmark/images/ab12.jpg"});
  EXPECT_EQ(set.questions[2].kinds.at("area"), Texts{"perception"});
  EXPECT_EQ(prompt("mme", "llava", set, 0), cat("<image>\nIs there a total of one person?", kWord));
  EXPECT_EQ(prompt("mme", "vlmevalkit", set, 0), " <image> Is there a total of one person? Please answer yes or no.");
  put("llava_mme.jsonl", json{{"question_id", "count/000000006040.jpg"},
                              {"image", "count/000000006040.jpg"},
                              {"text", cat("Are there 2 people?", kWord)},
                              {"category", "count"}});
  set = read("mme");
  ASSERT_EQ(set.questions.size(), 1U);
  EXPECT_EQ(set.questions[0].references, Texts{"no"});
  put("MME_Benchmark_release_version/count/000000006040.txt", std::string("Is it?\tMaybe\n"));
  EXPECT_THAT(refusal("mme"), HasSubstr("000000006040.txt:1"));
}

TEST_F(VisualFiles, MmbenchHasRotationsOfItsOptionsAndCellsThatAreMissing) {
  put("MMBench_DEV_EN_legacy.csv",
      std::string(
          "index,question,hint,A,B,C,D,answer,category,l2-category,split\n"
          "241,\"Which is\nhigher?\",nan,left,\"right, far\",,,B,spatial_relationship,relation_reasoning,dev\n"
          "1000241,\"Which is\nhigher?\",,\"right, far\",left,,,A,spatial_relationship,relation_reasoning,dev\n"));
  const QuestionSet set = read("mmbench");
  ASSERT_EQ(set.questions.size(), 2U);
  EXPECT_EQ(set.questions[0].options, (Texts{"left", "right, far"}));
  EXPECT_EQ(set.questions[0].hint, "");
  EXPECT_EQ(set.questions[0].references, Texts{"B"});
  EXPECT_EQ(set.questions[1].group, "241");
  EXPECT_EQ(set.questions[1].pictures, Texts{"241.jpg"});
  EXPECT_EQ(set.questions[1].kinds.at("ability"), Texts{"relation_reasoning"});
  EXPECT_EQ(prompt("mmbench", "llava", set, 0), cat("<image>\nWhich is\nhigher?\nA. left\nB. right, far", kLetter));
}

TEST_F(VisualFiles, ScienceQaIsBunnysListOrTheOfficialProblems) {
  const std::string asked = "Context: A hint.\nIs it liquid?\nA. yes\nB. no";
  put("bunny_test_CQM-A.json",
      json::array({{{"id", "4"},
                    {"image", "4/image.png"},
                    {"conversations",
                     {{{"from", "human"}, {"value", cat("<image>\n", asked)}}, {{"from", "gpt"}, {"value", "B"}}}}},
                   {{"id", "5"},
                    {"conversations", {{{"from", "human"}, {"value", asked}}, {{"from", "gpt"}, {"value", "A"}}}}}}));
  QuestionSet set = read("scienceqa");
  ASSERT_EQ(set.questions.size(), 2U);
  EXPECT_EQ(set.questions[0].options, (Texts{"yes", "no"}));
  EXPECT_EQ(set.questions[0].references, Texts{"B"});
  EXPECT_EQ(set.questions[0].pictures, Texts{"4/image.png"});
  EXPECT_EQ(set.questions[1].kinds.at("modality"), Texts{"text"});
  EXPECT_EQ(prompt("scienceqa", "llava", set, 0), cat("<image>\n", asked, kLetter));
  std::filesystem::remove(folder_.path() / "bunny_test_CQM-A.json");
  const json problem = {{"question", "Is it liquid?"}, {"choices", {"yes", "no"}},    {"answer", 1},
                        {"hint", "A hint."},           {"image", "image.png"},        {"task", "closed choice"},
                        {"grade", "grade2"},           {"subject", "natural science"}};
  put("problems.json", json{{"4", problem}, {"6", problem}});
  put("pid_splits.json", json{{"train", {"6"}}, {"test", {"4"}}});
  set = read("scienceqa");
  ASSERT_EQ(set.questions.size(), 1U);
  EXPECT_EQ(set.questions[0].id, "4");
  EXPECT_EQ(set.questions[0].references, Texts{"B"});
  EXPECT_EQ(set.questions[0].pictures, Texts{"4/image.png"});
  EXPECT_EQ(set.questions[0].kinds.at("grade"), Texts{"grade2"});
  EXPECT_EQ(prompt("scienceqa", "llava", set, 0), cat("<image>\n", asked, kLetter));
}

TEST_F(VisualFiles, SeedLeavesVideosOutAndNamesItsTypes) {
  const json image = {{"answer", "C"},           {"choice_a", "One"},
                      {"choice_b", "Two"},       {"choice_c", "Three"},
                      {"choice_d", "Four"},      {"data_id", "1454426_2591111986"},
                      {"data_type", "image"},    {"question", "How many towels are in the image?"},
                      {"question_id", "101669"}, {"question_type_id", 5}};
  json video = image;
  video["data_type"] = "video";
  put("SEED-Bench.json",
      json{{"questions", {video, image}}, {"question_type", {{"Scene Understanding", 1}, {"Instances Counting", 5}}}});
  const QuestionSet set = read("seed");
  ASSERT_EQ(set.questions.size(), 1U);
  EXPECT_EQ(set.questions[0].id, "101669");
  EXPECT_EQ(set.questions[0].options, (Texts{"One", "Two", "Three", "Four"}));
  EXPECT_EQ(set.questions[0].pictures, Texts{"SEED-Bench-image/1454426_2591111986"});
  EXPECT_EQ(set.questions[0].kinds.at("type"), Texts{"Instances Counting"});
}

TEST_F(VisualFiles, MmmuJoinsQuestionsAndBunnysAnswers) {
  const std::string id = "validation_Art_Theory_12";
  put("answer_dict_val.json",
      json{{id, {{"question_type", "multiple-choice"}, {"ground_truth", "B"}}},
           {"validation_Math_2", {{"question_type", "open"}, {"ground_truth", {"4", "four"}}}}});
  QuestionSet set = read("mmmu");
  ASSERT_EQ(set.questions.size(), 2U);
  EXPECT_EQ(set.questions[0].kinds.at("subject"), Texts{"Art_Theory"});
  EXPECT_EQ(set.questions[0].kinds.at("domain"), Texts{"Art and Design"});
  EXPECT_EQ(set.questions[1].references, (Texts{"4", "four"}));
  put("validation.jsonl", json{{"id", id},
                               {"question", "See <image 1>: who?"},
                               {"options", {"Klee", "Miro"}},
                               {"question_type", "multiple-choice"},
                               {"image_1", "art/12_1.png"},
                               {"image_2", nullptr}});
  set = read("mmmu");
  ASSERT_EQ(set.questions.size(), 1U);
  EXPECT_EQ(set.questions[0].references, Texts{"B"});
  EXPECT_EQ(set.questions[0].pictures, Texts{"art/12_1.png"});
  EXPECT_EQ(prompt("mmmu", "llava", set, 0), cat("<image>\nSee <image 1>: who?\n(A) Klee\n(B) Miro\n", kLetter));
  EXPECT_EQ(prompt("mmmu", "vlmevalkit", set, 0), cat(" <image> See <image 1>: who?\nA. Klee\nB. Miro", kLetter));
}

TEST_F(VisualFiles, DocvqaKeepsEveryAnswerAndItsTypes) {
  put("val_v1.0_withQT.json", json{{"dataset_name", "SP-DocVQA"},
                                   {"dataset_split", "val"},
                                   {"data",
                                    {{{"questionId", 49153},
                                      {"question", "What is the ‘actual’ value per 1000?"},
                                      {"question_types", {"figure/diagram", "layout"}},
                                      {"image", "documents/pybv0228_81.png"},
                                      {"docId", 14465},
                                      {"ucsf_document_id", "pybv0228"},
                                      {"ucsf_document_page_no", "81"},
                                      {"answers", {"0.28", ".28"}},
                                      {"data_split", "val"}}}}});
  const QuestionSet set = read("docvqa");
  const Question& question = set.questions.at(0);
  EXPECT_EQ(question.id, "49153");
  EXPECT_EQ(question.references, (Texts{"0.28", ".28"}));
  EXPECT_EQ(question.pictures, Texts{"documents/pybv0228_81.png"});
  EXPECT_EQ(question.picture_id, "pybv0228_81");
  EXPECT_EQ(question.kinds.at("type"), (Texts{"figure/diagram", "layout"}));
  EXPECT_EQ(prompt("docvqa", "paper", set, 0),
            "<image>\nPlease answer the question in one words.\nWhat is the ‘actual’ value per 1000?");
}

TEST_F(VisualFiles, OcrvqaIsTheAuthorsSelectionOrTheBooksOfItsTestSplit) {
  put("dataset.json", json{{"0132733501",
                            {{"imageURL", "http://ecx.images-amazon.com/images/I/51.jpg"},
                             {"questions", {"Who wrote this book?", "Is this a comedy book?"}},
                             {"answers", {"Ken Urban", "No"}},
                             {"title", "t"},
                             {"split", 3}}},
                           {"2", {{"questions", {"Q"}}, {"answers", {"A"}}, {"split", 1}}}});
  QuestionSet set = read("ocrvqa");
  ASSERT_EQ(set.questions.size(), 2U);
  EXPECT_EQ(set.questions[0].id, "0132733501_0");
  EXPECT_EQ(set.questions[0].pictures, Texts{"0132733501.jpg"});
  EXPECT_EQ(set.questions[1].kinds.at("answer"), Texts{"yes or no"});
  put("ocr_select.jsonl",
      json{{"question_id", 7}, {"image", "ocr_vqa/images/9.jpg"}, {"question", "Who?"}, {"answer", "X"}});
  set = read("ocrvqa");  // the authors' file comes first
  ASSERT_EQ(set.questions.size(), 1U);
  EXPECT_EQ(set.questions[0].pictures, Texts{"9.jpg"});
  EXPECT_EQ(set.questions[0].references, Texts{"X"});
}

TEST_F(VisualFiles, TdiucHasQuestionsAndTypedAnnotationsApart) {
  const json question = {{"question", "Is there a dog?"}, {"image_id", 42}, {"question_id", 42000}};
  put("OpenEnded_mscoco_val2014_questions.json", json{{"questions", {question}}});
  put("mscoco_val2014_annotations.json",
      json{{"annotations",
            {{{"question_id", 42000},
              {"image_id", 42},
              {"question_type", "object_presence"},
              {"answers", {{{"answer", "yes"}, {"answer_confidence", "yes"}, {"answer_id", 1}}}}}}}});
  const QuestionSet set = read("tdiuc");
  EXPECT_EQ(set.questions.at(0).pictures, Texts{"COCO_val2014_000000000042.jpg"});
  EXPECT_EQ(set.questions[0].references, Texts{"yes"});
  EXPECT_EQ(set.questions[0].kinds.at("type"), Texts{"object_presence"});
  EXPECT_EQ(prompt("tdiuc", "paper", set, 0), "<image>\nIs there a dog? Answer the question in one word.");
  put("mscoco_val2014_annotations.json", json{{"annotations", json::array()}});
  EXPECT_THAT(refusal("tdiuc"), HasSubstr("question 42000 has no annotation"));
}

TEST_F(VisualFiles, RefcocoHasAFileForEachSplitAndBoxesInPixels) {
  const json row = {{"image", "train2014/COCO_train2014_000000000001.jpg"},
                    {"sent", "left man"},
                    {"bbox", {64, 48, 320.0, 240}},
                    {"height", 480},
                    {"width", 640}};
  put("refcoco_testA.jsonl", cat(row.dump(), "\n", row.dump(), "\n"));
  put("refcoco+_val.jsonl", row);
  const QuestionSet set = read("refcoco");
  ASSERT_EQ(set.questions.size(), 3U);
  EXPECT_EQ(set.questions[0].id, "refcoco+_val/0");
  EXPECT_EQ(set.questions[2].id, "refcoco_testA/1");
  EXPECT_EQ(set.questions[2].box, (Box{0.1, 0.1, 0.5, 0.5}));
  EXPECT_EQ(set.questions[2].kinds.at("split"), Texts{"refcoco_testA"});
  EXPECT_THAT(prompt("refcoco", "lmms-eval", set, 0), testing::EndsWith("this sentence describes: left man"));
  json bad = row;
  bad["bbox"] = {320, 48, 64, 240};
  put("refcoco+_val.jsonl", bad);
  EXPECT_THAT(refusal("refcoco"), HasSubstr("refcoco+_val.jsonl:1: \"bbox\" is not left, top, right, bottom"));
}

TEST_F(VisualFiles, QuestionsOfOnesOwnAreTheFirstExchangeOfEachSample) {
  put("mine.json", json::array({{{"id", "a"},
                                 {"image", {"1.png", "2.png"}},
                                 {"category", "boxes"},
                                 {"conversations",
                                  {{{"from", "human"}, {"value", "<image>\n<image>\nWhere is it?"}},
                                   {{"from", "gpt"}, {"value", "[0.1, 0.2, 0.3, 0.4]"}},
                                   {{"from", "human"}, {"value", "Sure?"}},
                                   {{"from", "gpt"}, {"value", "Yes"}}}}},
                                {{"conversations",
                                  {{{"from", "human"}, {"value", "Hi"}}, {{"from", "gpt"}, {"value", "Hello"}}}}}}));
  const QuestionSet set = read("llava-json");
  ASSERT_EQ(set.questions.size(), 2U);
  EXPECT_EQ(set.questions[0].pictures, (Texts{"1.png", "2.png"}));
  EXPECT_EQ(set.questions[0].box, (Box{0.1, 0.2, 0.3, 0.4}));
  EXPECT_EQ(set.questions[0].kinds.at("category"), Texts{"boxes"});
  EXPECT_EQ(set.questions[1].id, "1");
  EXPECT_EQ(set.questions[1].references, Texts{"Hello"});
  EXPECT_EQ(prompt("llava-json", "exact", set, 0), "<image>\n<image>\nWhere is it?");
  EXPECT_EQ(find_benchmark("llava-json").protocols.front().name, "exact");  // what is taken where nothing is said
}

}  // namespace
}  // namespace striate
