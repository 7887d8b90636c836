#include "striate/infer/stop_strings.h"

#include <gtest/gtest.h>

namespace striate {
namespace {

std::string run(StopStrings stops, const std::vector<std::string>& pieces) {
  std::string out;
  for (const std::string& piece : pieces) out += stops.push(piece);
  return out + stops.finish();
}

TEST(StopStrings, TextWithoutAStopStringPassesWhole) {
  EXPECT_EQ(run(StopStrings({"</s>"}), {"a <", "/b> ", "<"}), "a </b> <");
}

TEST(StopStrings, TextEndsBeforeTheFirstStopString) {
  EXPECT_EQ(run(StopStrings({"</s>", "USER:"}), {"yes", " US", "ER: more</s>"}), "yes ");
}

TEST(StopStrings, HoldsBackOnlyWhatMayBecomeAStopString) {
  StopStrings stops({"END"});
  EXPECT_EQ(stops.push("the E"), "the ");
  EXPECT_EQ(stops.push("N"), "");
  EXPECT_EQ(stops.push("x"), "ENx");
  EXPECT_FALSE(stops.stopped());
}

TEST(StopStrings, ALaterPieceMayStartTheStopStringAnew) {
  EXPECT_EQ(run(StopStrings({"aab"}), {"a", "a", "a", "b", "c"}), "a");
}

TEST(StopStrings, EmptyStopStringsStopNothing) {
  EXPECT_EQ(run(StopStrings({""}), {"text"}), "text");
}

TEST(StopStrings, NothingComesAfterTheStop) {
  StopStrings stops({"."});
  EXPECT_EQ(stops.push("one.two"), "one");
  EXPECT_TRUE(stops.stopped());
  EXPECT_EQ(stops.push("three"), "");
  EXPECT_EQ(stops.finish(), "");
}

}  // namespace
}  // namespace striate
