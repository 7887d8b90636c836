// Matching answers to questions, counting them, and drawing them again.
#include "striate/answers/score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "striate/answers/metrics.h"
#include "striate/base/error.h"

namespace striate {
namespace {

Question question(const std::string& id, const std::string& text, std::string publisher_id = {}) {
  Question made;
  made.id = id;
  made.publisher_id = publisher_id.empty() ? id : publisher_id;
  made.text = text;
  made.references = {"yes"};
  return made;
}

Answer answer(const std::string& id, const std::string& prompt = {}) {
  return {.question = id, .prompt = prompt, .text = "yes", .place = "a.jsonl:1"};
}

const Benchmark& gqa() {
  return find_benchmark("gqa");
}

TEST(MatchedAnswers, QuestionsThatShareAnIdAreToldByThePrompt) {
  const QuestionSet set{{question("p#1", "Is it red?", "p"), question("p#2", "Is it red or blue?", "p")}};
  const AnswerFile file{"a.jsonl", {answer("p", "<image>\nis it red or BLUE?\nAnswer."), answer("p", "Is it red?")}};
  const MatchedAnswers matched(gqa(), set, file, "");
  EXPECT_EQ(matched.of(0), &file.answers[1]);
  EXPECT_EQ(matched.of(1), &file.answers[0]);
}

TEST(MatchedAnswers, WithoutPromptsTheirOrderTells) {
  const QuestionSet set{{question("t/p.png#1", "a", "t/p.png"), question("t/p.png#2", "b", "t/p.png")}};
  const AnswerFile file{"a.jsonl", {answer("t/p.txt"), answer("t/p.png")}};  // MME's own scripts change the ending
  const MatchedAnswers matched(gqa(), set, file, "");
  EXPECT_EQ(matched.of(0), &file.answers[0]);
  EXPECT_EQ(matched.of(1), &file.answers[1]);
  const AnswerFile thrice{"a.jsonl", {answer("t/p.png"), answer("t/p.png"), answer("t/p.png")}};
  EXPECT_THROW(MatchedAnswers(gqa(), set, thrice, ""), Error);
}

TEST(MatchedAnswers, MmesOwnFormNamesAPictureWithoutItsFolder) {
  const std::string picture = "artwork/images/7.jpg";
  const QuestionSet set{
      {question(picture + "#1", "Is it old?", picture), question(picture + "#2", "Is it new?", picture)}};
  const AnswerFile file{"mme", {answer("artwork/7.txt", "Is it new?"), answer("artwork/7.txt", "Is it old?")}};
  const MatchedAnswers matched(gqa(), set, file, "");
  EXPECT_EQ(matched.of(0), &file.answers[1]);
  EXPECT_EQ(matched.of(1), &file.answers[0]);
  const QuestionSet table{{question("artwork/7.jpg", "Is it old?")}};
  const AnswerFile named{"a.jsonl", {answer(picture)}};
  EXPECT_EQ(MatchedAnswers(gqa(), table, named, "").of(0), &named.answers[0]);
}

TEST(MatchedAnswers, RowNumbersCountInTheBenchmarksOrder) {
  const QuestionSet set{{question("x", "a"), question("y", "b")}};
  Answer by_row = answer("");
  by_row.row = 1;
  const AnswerFile file{"a.jsonl", {by_row}};
  EXPECT_EQ(MatchedAnswers(gqa(), set, file, "").of(1), &file.answers[0]);
  by_row.row = 2;
  const AnswerFile beyond{"a.jsonl", {by_row}};
  EXPECT_THROW(MatchedAnswers(gqa(), set, beyond, ""), Error);
}

TEST(MatchedAnswers, OfSeveralPromptsTheProtocolsOwnCounts) {
  const QuestionSet set{{question("x", "a")}};
  AnswerFile file{"a.jsonl", {answer("x"), answer("x")}};
  file.answers[0].asking = "one";
  file.answers[1].asking = "two";
  EXPECT_EQ(MatchedAnswers(gqa(), set, file, "two").of(0), &file.answers[1]);
  EXPECT_THROW(MatchedAnswers(gqa(), set, file, "three"), Error);
  file.answers.pop_back();
  EXPECT_EQ(MatchedAnswers(gqa(), set, file, "three").of(0), &file.answers[0]);  // scored by any protocol
}

TEST(ScoreAnswers, AMissingAnswerIsLeftOutUnlessTheProtocolCallsItWrong) {
  QuestionSet set{{question("x", "a"), question("y", "b")}};
  for (Question& one : set.questions) {
    one.references = {"A"};
    one.pictures = {"a.png"};
  }
  AnswerFile file{"a.jsonl", {answer("x")}};
  file.answers[0].text = "A";
  const Benchmark& seed = find_benchmark("seed");
  const ProtocolScore llava = score_answers(seed, find_protocol(seed, "llava"), set, file, {.draws = 0});
  EXPECT_EQ(llava.headline.value, 50);
  EXPECT_EQ(llava.answered, 1);
  const ProtocolScore strict = score_answers(seed, find_protocol(seed, "strict"), set, file, {.draws = 0});
  EXPECT_EQ(strict.headline.value, 100);
  EXPECT_EQ(strict.questions, 2);
}

TEST(ScoreAnswers, QuestionsBeyondARunsLimitDoNotCountAsWrong) {
  QuestionSet set{{question("x", "a"), question("y", "b"), question("z", "c")}};
  for (Question& one : set.questions) one.references = {"A"};
  set.questions[1].pictures = {"b.png"};
  set.questions[2].pictures = {"c.png"};
  Protocol protocol = find_protocol(find_benchmark("seed"), "llava");
  protocol.asks = [](const Question& one) { return !one.pictures.empty(); };
  AnswerFile file{"a.jsonl", {answer("y")}};
  file.answers[0].text = "A";
  const auto percent = [&](std::int64_t limit) {
    return score_answers(find_benchmark("seed"), protocol, set, file, {.draws = 0}, limit).headline.value;
  };
  EXPECT_EQ(percent(0), 50);
  EXPECT_EQ(percent(1), 100);
  EXPECT_EQ(percent(2), 50);
}

// Three questions of MMBench as its table has them, and after them a rotation of each.
QuestionSet rotated_questions() {
  QuestionSet set;
  for (const char* id : {"1", "2", "3", "1000001", "1000002", "1000003"}) {
    set.questions.push_back(question(id, "Which?"));
    set.questions.back().options = {"left", "right"};
    set.questions.back().references = {"A"};
    set.questions.back().group = std::string(1, std::string_view(id).back());
  }
  return set;
}

TEST(QuestionsToAsk, ALimitTakesTheQuestionsTogetherThatAreScoredTogether) {
  const QuestionSet set = rotated_questions();
  const auto asked = [&](const char* benchmark, std::int64_t limit) {
    const Benchmark& found = find_benchmark(benchmark);
    return questions_to_ask(found, found.protocols.front(), set, limit);
  };
  using Places = std::vector<std::size_t>;
  EXPECT_EQ(asked("mmbench", 0), (Places{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(asked("mmbench", 1), (Places{0, 3}));
  EXPECT_EQ(asked("mmbench", 2), (Places{0, 3}));
  EXPECT_EQ(asked("mmbench", 3), (Places{0, 1, 3, 4}));
  EXPECT_EQ(asked("mmbench", 9), (Places{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(asked("gqa", 2), (Places{0, 1}));
  EXPECT_TRUE(find_benchmark("mme").scores_groups);
}

TEST(ScoreAnswers, ALimitedRunOfCircularMmbenchIsScoredByWholeGroups) {
  const QuestionSet set = rotated_questions();
  AnswerFile file{"a.jsonl", {answer("1"), answer("1000001"), answer("2"), answer("1000002")}};
  for (Answer& one : file.answers) one.text = one.question == "1000002" ? "B" : "A";
  const Benchmark& mmbench = find_benchmark("mmbench");
  const ProtocolScore score = score_answers(mmbench, find_protocol(mmbench, "vlmevalkit"), set, file, {.draws = 0}, 3);
  EXPECT_EQ(score.questions, 4);
  EXPECT_EQ(score.headline.value, 50);
}

struct PopeRow {
  std::vector<std::string> splits;
  std::string right, said;
};

// POPE's numbers by their names, its headline as "headline".
std::map<std::string, double> pope_numbers_of(const std::vector<PopeRow>& rows, const char* protocol) {
  QuestionSet set;
  AnswerFile file{"a.jsonl"};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string id = std::to_string(i);
    set.questions.push_back(question(id, "Is there a car in the image?"));
    set.questions.back().references = {rows[i].right};
    set.questions.back().kinds["split"] = rows[i].splits;
    file.answers.push_back(answer(id));
    file.answers.back().text = rows[i].said;
  }
  const Benchmark& pope = find_benchmark("pope");
  const ProtocolScore score = score_answers(pope, find_protocol(pope, protocol), set, file, {.draws = 0});
  std::map<std::string, double> numbers = {{"headline", score.headline.value}};
  for (const Metric& metric : score.more) numbers[metric.name] = metric.value;
  return numbers;
}

TEST(ScoreAnswers, ARowOfSeveralSplitsOfPopeCountsInEachOfThem) {
  const std::vector<PopeRow> rows = {
      {{"random", "popular", "adversarial"}, "yes", "yes"}, {{"random"}, "no", "yes"}, {{"popular"}, "yes", "no"}};
  for (const char* protocol : {"vlmevalkit", "lmms-eval", "strict"}) {
    SCOPED_TRACE(protocol);
    std::map<std::string, double> numbers = pope_numbers_of(rows, protocol);
    EXPECT_DOUBLE_EQ(numbers["headline"], 75);  // three times right, and one mistake of each sort
    EXPECT_DOUBLE_EQ(numbers["accuracy"], 60);
    EXPECT_DOUBLE_EQ(numbers["precision"], 75);
    EXPECT_DOUBLE_EQ(numbers["recall"], 75);
    EXPECT_DOUBLE_EQ(numbers["yes share"], 80);
    EXPECT_DOUBLE_EQ(numbers["random precision"], 50);
    EXPECT_DOUBLE_EQ(numbers["adversarial F1"], 100);
  }
  EXPECT_NEAR(pope_numbers_of(rows, "llava")["headline"], 700.0 / 9, 1e-9);  // the mean of 2/3, 2/3 and 1
}

TEST(ScoreAnswers, TheYesRatioOfLmmsEvalIsThatOfTheRightAnswers) {
  const std::vector<PopeRow> rows = {{{"random"}, "yes", "no"},
                                     {{"random"}, "yes", "maybe"},  // left out of the shares of answers
                                     {{"random"}, "no", "no"},
                                     {{"random", "popular"}, "yes", "yes"}};
  std::map<std::string, double> numbers = pope_numbers_of(rows, "lmms-eval");
  EXPECT_DOUBLE_EQ(numbers.at("yes ratio"), 80);
  EXPECT_DOUBLE_EQ(numbers.at("random yes ratio"), 75);
  EXPECT_DOUBLE_EQ(numbers.at("popular yes ratio"), 100);
  EXPECT_DOUBLE_EQ(numbers.at("yes share"), 50);
  for (const char* protocol : {"llava", "vlmevalkit", "paper", "strict"}) {
    EXPECT_FALSE(pope_numbers_of(rows, protocol).contains("yes ratio")) << protocol;
  }
}

TEST(ScoreAnswers, WithoutARightYesPopesF1IsWhatTheScriptMakesOfIt) {
  const std::vector<PopeRow> never_yes = {{{"random"}, "yes", "no"}, {{"random"}, "no", "no"}};
  const std::vector<PopeRow> all_wrong = {{{"random"}, "yes", "no"}, {{"random"}, "no", "yes"}};
  for (const char* protocol : {"vlmevalkit", "lmms-eval", "strict"}) {
    SCOPED_TRACE(protocol);
    std::map<std::string, double> numbers = pope_numbers_of(never_yes, protocol);
    EXPECT_EQ(numbers["headline"], 0);
    EXPECT_EQ(numbers["precision"], 0);
    EXPECT_EQ(numbers["random F1"], 0);
    EXPECT_EQ(pope_numbers_of(all_wrong, protocol)["headline"], 0);
  }
  for (const char* protocol : {"llava", "paper"}) {  // a division by zero ends their script
    EXPECT_TRUE(std::isnan(pope_numbers_of(never_yes, protocol)["headline"])) << protocol;
    EXPECT_TRUE(std::isnan(pope_numbers_of(all_wrong, protocol)["headline"])) << protocol;
  }
}

TEST(ScoreAnswers, TheLikeliestLetterIsTheAnswerOfAnExam) {
  QuestionSet set{{question("math/0", "1 + 1")}};
  set.questions[0].options = {"1", "2", "3", "4"};
  set.questions[0].references = {"B"};
  set.questions[0].kinds["subject"] = {"math"};
  AnswerFile file{"a.jsonl", {answer("math/0")}};
  file.answers[0].choices = {-2.0, -0.5, -0.75, -9.0};
  const Benchmark& mmlu = find_benchmark("mmlu");
  EXPECT_EQ(score_answers(mmlu, find_protocol(mmlu, "lm-eval"), set, file, {.draws = 0}).headline.value, 100);
}

TEST(ScoreAnswers, PerplexityIsPerByteOfAllDocuments) {
  QuestionSet set{{question("a.txt", "ab cd"), question("b.txt", "abc\n")}};
  AnswerFile file{"a.jsonl", {answer("a.txt"), answer("b.txt")}};
  file.answers[0].choices = {-5.0};
  file.answers[1].choices = {-11.0};
  const Benchmark& text = find_benchmark("perplexity");
  const ProtocolScore score = score_answers(text, text.protocols[0], set, file, {.draws = 0});
  EXPECT_NEAR(score.headline.value, std::exp(16.0 / 9), 1e-12);
  EXPECT_NEAR(score.more.at(0).value, std::exp(16.0 / 4), 1e-9);  // the harness counts what follows the line break
  EXPECT_NEAR(score.more.at(1).value, 16.0 / 9 / std::log(2.0), 1e-12);
}

// `count` questions of which the first `right` are answered right.
struct Sample {
  std::vector<Question> questions;
  std::vector<Scored> items;

  Sample(int count, int right) : questions(static_cast<std::size_t>(count)) {
    for (int i = 0; i < count; ++i) {
      Question& one = questions[static_cast<std::size_t>(i)];
      one.id = std::to_string(i);
      items.push_back({&one, {.score = i < right ? 1.0 : 0.0}});
    }
  }
  Interval interval(std::uint64_t seed) const {
    return resampled(items, {seed, 2000}, [&](std::span<const double> weights) { return mean_score(items, weights); });
  }
};

TEST(Resampled, TheIntervalIsThatOfABinomialShare) {
  const Interval interval = Sample(400, 300).interval(3);
  const double error = 100 * 1.96 * std::sqrt(0.75 * 0.25 / 400);
  EXPECT_NEAR(interval.low, 75 - error, 0.6);
  EXPECT_NEAR(interval.high, 75 + error, 0.6);
}

TEST(Resampled, TheSameSeedGivesTheSameInterval) {
  const Sample sample(50, 20);
  EXPECT_EQ(sample.interval(1).low, sample.interval(1).low);
  EXPECT_NE(sample.interval(1).low, sample.interval(2).low);
}

TEST(MeanScore, IsInPercentAndIsNoNumberOfNothing) {
  Sample sample(4, 1);
  sample.items[1].judgement.score = 0.5;
  EXPECT_DOUBLE_EQ(mean_score(sample.items), 37.5);
  EXPECT_TRUE(std::isnan(mean_score({})));
}

// Ten questions on each picture, all right or all wrong: as sure as 40 questions, not as 400.
TEST(Resampled, QuestionsAboutOnePictureAreDrawnTogether) {
  for (const bool named : {true, false}) {
    Sample sample(400, 300);
    for (std::size_t i = 0; i < 400; ++i) {
      Question& question = sample.questions[i];
      const std::string picture = std::to_string(i / 10);
      question.pictures = {named ? picture : std::to_string(i)};
      if (!named) question.picture_id = picture;
    }
    const Interval interval = sample.interval(3);
    const double error = 100 * 1.96 * std::sqrt(0.75 * 0.25 / 40);
    EXPECT_NEAR(interval.low, 75 - error, 1.5);
    EXPECT_NEAR(interval.high, 75 + error, 1.5);
  }
}

TEST(Resampled, QuestionsOfOneGroupAreDrawnTogether) {
  Sample sample(10, 0);
  for (std::size_t i = 0; i < 10; ++i) sample.questions[i].group = std::string(1, i < 5 ? 'a' : 'b');
  resampled(sample.items, {1, 50}, [&](std::span<const double> weights) {
    for (std::size_t i = 1; i < 5; ++i) EXPECT_EQ(weights[i], weights[0]);
    EXPECT_EQ(weights[0] + weights[9], 2);
    return 0.0;
  });
}

TEST(AllRightShare, AGroupCountsOnlyWhenAllOfItIsRight) {
  Sample sample(4, 3);
  for (std::size_t i = 0; i < 4; ++i) sample.questions[i].group = std::string(1, i < 2 ? 'a' : 'b');
  EXPECT_EQ(all_right_share(sample.items, ones(4)), 50);
}

}  // namespace
}  // namespace striate
