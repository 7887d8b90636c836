#include "striate/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include "striate/base/files.h"
#include "striate/base/random.h"
#include "striate/base/strings.h"
#include "tests/data/small_world.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DatasetTest : public testing::Test {
 protected:
  Dataset open(const std::string& text) {
    write_file(file(), text);
    return Dataset(file());
  }
  std::filesystem::path file() const { return folder_.path() / "data.json"; }
  // What opening it says.
  std::string refusal(const std::string& text) {
    try {
      open(text);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kCorruptData);
      EXPECT_FALSE(error.hint().empty());
      return error.what();
    }
    return "opened";
  }
  // What reading its sample `index` says.
  std::string complaint(const std::string& text, std::int64_t index = 0) {
    const Dataset data = open(text);
    try {
      data.read(index);
    } catch (const BadSample& bad) {
      EXPECT_EQ(bad.reason(), BadReason::kBrokenRecord);
      EXPECT_EQ(bad.exit_code(), 2);
      return bad.what();
    }
    return "read";
  }

  test::TemporaryFolder folder_;
};

const std::string kTurns = R"("conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}])";

TEST_F(DatasetTest, ReadsAnArrayAndLinesAlike) {
  const std::string first = R"({"id": "a\"b", "image": "x/y.jpg", )" + kTurns + "}";
  const std::string second = R"({"extra": {"id": [1, {"image": 2}]}, "id": 7, )" + kTurns + "}";
  const std::string third = R"({"image": ["1.png", "2.png"], "id": null, )" + kTurns + "}";
  for (const std::string& text : {cat("\xEF\xBB\xBF [", first, ",\n", second, " , ", third, "]\n"),
                                  cat("\n", first, "\r\n\n", second, "\n", third)}) {
    const Dataset data = open(text);
    ASSERT_EQ(data.size(), 3);
    const Record a = data.read(0);
    EXPECT_EQ(a.id, "a\"b");
    EXPECT_THAT(a.images, ElementsAre("x/y.jpg"));
    ASSERT_EQ(a.turns.size(), 2U);
    EXPECT_EQ(a.turns[1].from, "gpt");
    EXPECT_EQ(a.turns[1].value, "a");
    EXPECT_EQ(data.read(1).id, "7");
    EXPECT_TRUE(data.read(1).images.empty());
    EXPECT_THAT(data.read(2).images, ElementsAre("1.png", "2.png"));
    EXPECT_EQ(data.read(2).id, "");
  }
}

TEST_F(DatasetTest, ASmallerFractionIsPartOfALargerAndKeepsItsPlaces) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += cat(R"({"id": "s)", i, "\", ", kTurns, "}\n");
  write_file(file(), text);
  const auto kept = [&](double share, std::uint64_t seed) {
    const Dataset data(file(), {share, seed});
    std::vector<std::string> ids;
    for (std::int64_t i = 0; i < data.size(); ++i) {
      ids.push_back(data.read(i).id);
      EXPECT_EQ(ids.back(), cat("s", data.line(i) - 1));  // a sample a line
    }
    return ids;
  };
  const std::vector<std::string> all = kept(1, 3), quarter = kept(0.25, 3), tenth = kept(0.1, 3);
  EXPECT_EQ(all.size(), 100U);
  ASSERT_EQ(quarter.size(), 25U);
  ASSERT_EQ(tenth.size(), 10U);
  for (const std::string& id : tenth) EXPECT_THAT(quarter, testing::Contains(id));
  EXPECT_EQ(quarter, kept(0.25, 3));
  EXPECT_NE(quarter, kept(0.25, 4));
  EXPECT_EQ(kept(1e-6, 3).size(), 1U);
  for (const double share : {0.0, -1.0, 1.5, std::nan("")}) {
    EXPECT_ERROR(Dataset(file(), {share, 3}), "`data_fraction`");
  }
}

TEST_F(DatasetTest, KnowsTheLineOfEachSample) {
  const Dataset data = open("[\n{" + kTurns + "},\n\n{\n" + kTurns + "\n}\n]");
  EXPECT_EQ(data.line(0), 2);
  EXPECT_EQ(data.line(1), 4);
  EXPECT_THAT(data.place(1), HasSubstr("data.json: sample 1 (line 4)"));
}

TEST_F(DatasetTest, BracketsAndQuotesInStringsAreText) {
  const std::string value = R"([}{]\"\\)";
  const Dataset data =
      open(R"([{"conversations": [{"from": "human", "value": ")" + value + R"("}]}, {)" + kTurns + "}]");
  EXPECT_EQ(data.read(0).turns[0].value, "[}{]\"\\");
  EXPECT_EQ(data.size(), 2);
}

TEST_F(DatasetTest, OfFieldsOfOneNameTheLastCounts) {
  EXPECT_EQ(open(R"([{"id": "a", "id": "b", )" + kTurns + "}]").read(0).id, "b");
}

TEST_F(DatasetTest, StringsMayCrossTheBlocksItIsReadIn) {
  // A file of several blocks, with every kind of byte at their edges.
  std::string text = "[";
  for (int i = 0; i < 70000; ++i) {
    text += cat(i == 0 ? "" : ",", R"({"id": "\\\"[)", i, R"(", )", kTurns, "}");
  }
  const Dataset data = open(text + "]");
  ASSERT_EQ(data.size(), 70000);
  for (std::int64_t i = 0; i < data.size(); i += 311) ASSERT_EQ(data.read(i).id, cat("\\\"[", i));
}

TEST_F(DatasetTest, SaysWhereTheFileIsBroken) {
  const std::string good = "{" + kTurns + "}";
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
  EXPECT_THAT(refusal(" \n "), HasSubstr("empty"));
  EXPECT_THAT(refusal("hello"), HasSubstr("line 1 (byte 0): begins with 'h'"));
  EXPECT_THAT(refusal("[" + good + ",\n" + good), HasSubstr("ends after 2 samples without a closing ']'"));
  EXPECT_THAT(refusal("[" + good + ",\n{\"id\": \"abc"), HasSubstr("ends inside sample 1, which begins on line 2"));
  EXPECT_THAT(refusal("[" + good + "\n" + good + "]"), HasSubstr("line 2"));
  EXPECT_THAT(refusal("[" + good + ",\n]"), HasSubstr("sample 1 begins with ']'"));
  EXPECT_THAT(refusal("[\n17, " + good + "]"), HasSubstr("line 2 (byte 2): sample 0 begins with '1'"));
  EXPECT_THAT(refusal("[" + good + "] x"), HasSubstr("'x' after the array's end"));
  EXPECT_THAT(refusal("[{\"id\": \"abc\n\"}]"), HasSubstr("line 1 (byte 12): the line ends inside a string"));
  EXPECT_THAT(refusal("[\n{\"id\": abc\"}]"), HasSubstr("line 2"));
  EXPECT_THAT(refusal("[{\"id\": [1}]"), HasSubstr("'}' where ']' was expected"));
  EXPECT_THAT(refusal(std::string("[{\"id\": \"a\0b\"}]", 15)), HasSubstr("byte 0 inside a string"));
  EXPECT_THAT(refusal(std::string("[{\"id\": \0}]", 11)), HasSubstr("byte 0 outside a string"));
  EXPECT_THAT(refusal("{\n\"id\": 1}"), HasSubstr("line 1"));
  EXPECT_THAT(refusal("{'id': 1}"), HasSubstr("''' outside a string"));
  EXPECT_THAT(refusal(good + " " + good), HasSubstr("after sample 0 on its line"));
  EXPECT_THAT(refusal("[" + std::string(300, '[') + "]"), HasSubstr("sample 0 begins with '['"));
  EXPECT_THAT(refusal("[{\"a\": " + std::string(300, '[') + "]"), HasSubstr("nested brackets"));
}

TEST_F(DatasetTest, SaysWhatIsWrongWithASample) {
  EXPECT_THAT(complaint("[{\"id\": 1 2}]"), HasSubstr("sample 0 (line 1): its JSON:1:10: not valid JSON"));
  EXPECT_THAT(complaint("[{\"id\": \"\xC3\x28\"}]"), HasSubstr("not UTF-8"));
  EXPECT_THAT(complaint("[{\"id\": \"\\ud800\", " + kTurns + "}]"), HasSubstr("not valid JSON"));
  EXPECT_THAT(complaint("[{\"id\": \"a\tb\", " + kTurns + "}]"), HasSubstr("a control character inside a string"));
  EXPECT_THAT(complaint("[{\"id\": 1, \"text\": \"t\"}]"),
              HasSubstr("has no \"conversations\" and no \"messages\"; its fields are text"));
  EXPECT_THAT(complaint("[{\"image\": 1, " + kTurns + "}]"), HasSubstr("\"image\" is neither"));
  EXPECT_THAT(complaint("[{\"image\": [\"a\", 1], " + kTurns + "}]"), HasSubstr("\"image\"[1] is 1, not a string"));
  EXPECT_THAT(complaint("[{\"conversations\": 1}]"), HasSubstr("not a list"));
  EXPECT_THAT(complaint("[{\"conversations\": [1]}]"), HasSubstr("conversations[0] is 1, not an object"));
  EXPECT_THAT(complaint(R"([{"conversations": [{"from": "human"}]}])"), HasSubstr("conversations[0] has no \"value\""));
  EXPECT_THAT(complaint(R"([{"conversations": [{"value": "a"}]}])"), HasSubstr("neither \"from\" nor \"role\""));
  EXPECT_THAT(complaint(R"([{"conversations": [{"from": 1, "value": "a"}]}])"),
              HasSubstr("conversations[0].from is 1, not a string"));
  EXPECT_THAT(complaint(R"([{"conversations": [{"from": "gpt", "value": NaN}]}])"), HasSubstr("value is null, not"));
  EXPECT_THAT(complaint(R"([{"messages": None}])"), HasSubstr("\"messages\" is null, not a list"));
  EXPECT_THAT(complaint("[{\"image\": {\"bytes\": \"aGk=\"}, " + kTurns + "}]"), HasSubstr("but an object"));
  EXPECT_THAT(complaint("{" + kTurns + "}\n{\"id\": 1 2}", 1),
              HasSubstr("sample 1 (line 2): its JSON:1:10: not valid JSON"));
}

// What Python and tables write where a value is missing, and numbers that no machine number holds.
TEST_F(DatasetTest, OddValuesOfFieldsThatAreNotUsedDoNoHarm) {
  for (const char* odd : {"NaN", "None", "Infinity", "-Infinity", "True", "null", "123456789012345678901234567890",
                          "1e400", "-0.5", "[1, {\"a\": NaN}]"}) {
    SCOPED_TRACE(odd);
    const std::string sample = cat("{\"score\": ", odd, ", ", kTurns, "}");
    for (const std::string& text : {cat("[", sample, ", ", sample, "]"), cat(sample, "\n", sample, "\n")}) {
      const Dataset data = open(text);
      ASSERT_EQ(data.size(), 2);
      EXPECT_EQ(data.read(1).turns.size(), 2U);
    }
  }
}

TEST_F(DatasetTest, AnIdMayBeAnything) {
  const auto id_of = [&](const std::string& id) { return open(cat("[{\"id\": ", id, ", ", kTurns, "}]")).read(0).id; };
  EXPECT_EQ(id_of("\"a\""), "a");
  EXPECT_EQ(id_of("7"), "7");
  EXPECT_EQ(id_of("1.5"), "1.5");
  EXPECT_EQ(id_of("123456789012345678901234567890"), "123456789012345678901234567890");
  EXPECT_EQ(id_of("[1, 2]"), "[1,2]");
  EXPECT_EQ(id_of("{\"n\": 1}"), "{\"n\":1}");
  for (const char* nothing : {"null", "NaN", "None"}) EXPECT_EQ(id_of(nothing), "");
  EXPECT_EQ(id_of('"' + std::string(5000, 'x') + '"'), std::string(200, 'x') + "...");
}

TEST_F(DatasetTest, AMissingCellIsNoPicture) {
  for (const char* nothing : {"null", "NaN", "None", "[]"}) {
    EXPECT_TRUE(open(cat("[{\"image\": ", nothing, ", ", kTurns, "}]")).read(0).images.empty()) << nothing;
  }
}

TEST_F(DatasetTest, AnElementThatIsNoObjectIsOneBadSample) {
  const std::string good = "{" + kTurns + "}";
  for (const char* odd : {"null", "NaN", "17", "-1.5e3", "\"a, ] b\"", "[1, [2, \"]\"]]", "true"}) {
    SCOPED_TRACE(odd);
    const Dataset data = open(cat("[", good, ",\n", odd, " ,\n", good, "]"));
    ASSERT_EQ(data.size(), 3);
    EXPECT_EQ(data.line(2), 3);
    EXPECT_EQ(data.read(2).turns.size(), 2U);
    EXPECT_THAT(complaint(cat("[", good, ",\n", odd, "]"), 1), HasSubstr(cat("sample 1 (line 2): not an object but ")));
  }
}

// The first line tells that they are JSON Lines; from there each line is a matter of its own.
TEST_F(DatasetTest, ABrokenLineIsOneBadSample) {
  const std::string good = "{" + kTurns + "}";
  for (const std::string& odd :
       {std::string("null"), std::string("17"), std::string("hello"), std::string("{\"id\": \"a"),
        std::string("{\"id\": [1}"), std::string("{\"id\": \"a\\"), "{'id': 1}" + std::string(3, '}'),
        good + " " + good, good + ",", std::string("{\"id\": \0\"\0\"}", 13), "[" + good + "]", std::string(400, '{'),
        std::string("}")}) {
    SCOPED_TRACE(odd);
    const std::string text = cat(good, "\n", odd, "\n\n", good, "\n");
    const Dataset data = open(text);
    ASSERT_EQ(data.size(), 3);
    EXPECT_EQ(data.line(1), 2);
    EXPECT_EQ(data.line(2), 4);
    EXPECT_EQ(data.read(0).turns.size(), 2U);
    EXPECT_EQ(data.read(2).turns.size(), 2U);
    EXPECT_THAT(complaint(text, 1), HasSubstr("sample 1 (line 2): its line is not one whole JSON object"));
  }
  // A file that was cut off is told apart from a bad line.
  EXPECT_THAT(refusal(good + "\n{\"id\": \"a"), HasSubstr("ends inside sample 1"));
}

TEST_F(DatasetTest, FilesInOtherFormsAreNamedAsSuch) {
  const auto wide = [](const std::string& text, std::size_t zeros_before, std::size_t zeros_after) {
    std::string result;
    for (const char c : text) result += std::string(zeros_before, '\0') + c + std::string(zeros_after, '\0');
    return result;
  };
  const std::string text = "[{" + kTurns + "}]";
  const std::string lines = "{" + kTurns + "}";
  for (const std::string& data : {text, lines}) {
    EXPECT_THAT(refusal("\xFF\xFE" + wide(data, 0, 1)), HasSubstr("is UTF-16"));
    EXPECT_THAT(refusal("\xFE\xFF" + wide(data, 1, 0)), HasSubstr("is UTF-16"));
    EXPECT_THAT(refusal(wide(data, 0, 1)), HasSubstr("is UTF-16"));
    EXPECT_THAT(refusal(wide(data, 1, 0)), HasSubstr("is UTF-16"));
    EXPECT_THAT(refusal(std::string("\xFF\xFE\0\0", 4) + wide(data, 0, 3)), HasSubstr("is UTF-32"));
    EXPECT_THAT(refusal(std::string("\0\0\xFE\xFF", 4) + wide(data, 3, 0)), HasSubstr("is UTF-32"));
    EXPECT_THAT(refusal(wide(data, 0, 3)), HasSubstr("is UTF-32"));
    EXPECT_THAT(refusal(wide(data, 3, 0)), HasSubstr("is UTF-32"));
  }
  EXPECT_THAT(refusal("\x1F\x8B\x08" + text), HasSubstr("is a gzip file"));
  EXPECT_THAT(refusal("PK\x03\x04" + text), HasSubstr("is a ZIP archive"));
  try {
    open("\xFF\xFE" + wide(text, 0, 1));
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("iconv -f UTF-16 -t UTF-8"));
  }
}

TEST_F(DatasetTest, AnAddressInPlaceOfAFileIsNamedAsSuch) {
  try {
    Dataset("https://example.org/train.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("https://example.org/train.json"));
    EXPECT_THAT(error.hint(), HasSubstr("download"));
  }
}

TEST_F(DatasetTest, RefusesWhatIsNoFileOrHoldsNoSample) {
  EXPECT_ERROR(Dataset(folder_.path() / "absent.json"), "absent.json: cannot be read");
  EXPECT_ERROR(Dataset(folder_.path()), "the folder has no Parquet file");
  EXPECT_ERROR(open("[]"), "the file has no samples");
}

TEST_F(DatasetTest, AVeryLongSampleIsRefusedAndALongOneIsRead) {
  const auto with_answer = [](std::size_t length) {
    return R"([{"conversations": [{"from": "human", "value": ")" + std::string(length, 'x') + R"("}]}])";
  };
  EXPECT_EQ(open(with_answer(9'000'000)).read(0).turns[0].value.size(), 9'000'000U);
  EXPECT_THAT(refusal(with_answer(17'000'000)), HasSubstr("sample 0 has 17.0 MB"));
}

TEST_F(DatasetTest, NoticesThatTheFileChanged) {
  const Dataset data = open("[{" + kTurns + "}]");
  std::filesystem::resize_file(file(), 20);
  try {
    data.read(0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCorruptData);
    EXPECT_THAT(error.what(), HasSubstr("changed"));
  }
}

// Anything may come from a damaged file, but only as an Error, and what opens can be read or refused.
TEST_F(DatasetTest, DamagedBytesGiveErrorsOnly) {
  std::string text = "[";
  for (int i = 0; i < 6; ++i) {
    text += cat(i == 0 ? "" : ",\n", R"({"id": "s\u00e9)", i, R"(", "image": "a.png", )", kTurns, "}");
  }
  text += "]";
  const RandomStream random(3, "damage");
  std::int64_t opened = 0;
  for (std::uint64_t round = 0; round < 1000; ++round) {
    std::string damaged = text;
    for (std::uint64_t k = 0; k <= round % 3; ++k) {
      damaged[random.bits(8 * round + k) % damaged.size()] = static_cast<char>(random.bits(8 * round + k + 4));
    }
    if (round % 5 == 0) damaged.resize(random.bits(8 * round + 7) % damaged.size());
    std::ofstream(file(), std::ios::binary) << damaged;
    try {
      const Dataset data(file());
      ++opened;
      for (std::int64_t i = 0; i < data.size(); ++i) {
        try {
          data.read(i);
        } catch (const BadSample&) {
        }
      }
    } catch (const Error& error) {
      EXPECT_NE(error.kind(), ErrorKind::kInternal) << error.what();
    }
  }
  EXPECT_GT(opened, 50);
}

// Bytes of memory the process holds, mapped files included.
std::int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t pages = 0;
  statm >> pages >> pages;
  return pages * 4096;
}

// STRIATE_BIG_DATASET_MB makes it as large as one likes; 1000 is LLaVA's own mixture of 665k samples.
TEST_F(DatasetTest, OpeningCostsAnIndexAndNotTheFile) {
  if (!std::filesystem::exists("/proc/self/statm")) GTEST_SKIP() << "no /proc to measure memory with";
  const char* size = std::getenv("STRIATE_BIG_DATASET_MB");
  const std::int64_t bytes = (size != nullptr ? std::atoll(size) : 100) * 1'000'000;
  std::int64_t samples = 0;
  {
    std::ofstream out(file(), std::ios::binary);
    out << "[";
    const std::string answer(1200, 'y');
    for (; out.tellp() < bytes; ++samples) {
      out << (samples == 0 ? "\n" : ",\n")
          << test::sample_json(cat("sample-", samples), cat("coco/", samples, ".jpg"), "What is \"this\"?\nSay it.",
                               answer)
                 .dump(2);
    }
    out << "\n]";
  }
  const std::int64_t before = resident_bytes();
  const auto start = std::chrono::steady_clock::now();
  const Dataset data(file());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const std::int64_t after = resident_bytes();
  ASSERT_EQ(data.size(), samples);
  EXPECT_LT(after - before, 20'000'000 + 40 * samples);
  for (std::int64_t i = 0; i < samples; i += std::max<std::int64_t>(1, samples / 1000)) {
    ASSERT_EQ(data.read(i).id, cat("sample-", i));
  }
  RecordProperty("seconds", std::to_string(seconds.count()));
  RecordProperty("samples", std::to_string(samples));
  RecordProperty("resident_bytes", std::to_string(after - before));
}

}  // namespace
}  // namespace striate
