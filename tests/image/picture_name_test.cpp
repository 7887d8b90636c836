#include "striate/image/picture_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/image/image.h"

namespace striate {
namespace {

using testing::HasSubstr;

std::string what(const std::string& name) {
  const auto other = not_a_file(name);
  if (!other) return "a file";
  EXPECT_FALSE(other->hint.empty());
  EXPECT_LT(other->what.size(), 200U);
  return other->what;
}

TEST(PictureName, AddressesAreNamedAsSuchAndKeptAsTheyAre) {
  for (const char* address : {"https://images.example.org/coco/a.jpg", "http://a.org/b.png", "s3://bucket/a.jpg",
                              "gs://bucket/a.jpg", "hf://datasets/a/b.jpg", "file:///data/a.jpg", "HTTPS://A.ORG/b"}) {
    EXPECT_THAT(what(address), HasSubstr(address));
    EXPECT_THAT(what(address), HasSubstr("an address"));
  }
  EXPECT_THAT(what("https://a.org/" + std::string(5000, 'x')), testing::EndsWith("xxx..."));
  EXPECT_THAT(not_a_file("https://a.org/b.jpg")->hint, HasSubstr("download"));
  EXPECT_THAT(not_a_file("file:///b.jpg")->hint, HasSubstr("without file://"));
}

TEST(PictureName, Base64IsNamedAsSuchAndCutShort) {
  const std::string data(4000, 'A');
  EXPECT_THAT(what("data:image/png;base64," + data), HasSubstr("base64 data (data:image/png;base64,AAA"));
  EXPECT_THAT(what("DATA:," + data), HasSubstr("base64 data"));
  EXPECT_THAT(what("/9j/4AAQSkZJRgABAQ" + data), HasSubstr("base64 data"));
  EXPECT_THAT(what("iVBORw0KGgo" + data), HasSubstr("base64 data"));
  EXPECT_THAT(what(std::string(100'000, 'x')), HasSubstr("base64 data"));
}

TEST(PictureName, NamesOfFilesAreLeftAlone) {
  for (const char* name :
       {"a.jpg", "/abs/a.jpg", "c:/a.jpg", "a://b", "data/a.jpg", "data", "9j/a.jpg", "with space.png", "/9j/short.jpg",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ""}) {
    EXPECT_EQ(what(name), "a file") << name;
  }
}

TEST(PictureName, ShorteningCutsNoCharacterInTwo) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "abc...");
  EXPECT_EQ(shortened("a\u00e9b", 2), "a...");
}

TEST(PictureName, LoadingAnAddressSaysWhatItIs) {
  try {
    load_image("https://a.org/b.jpg");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidInput);
    EXPECT_THAT(error.what(), HasSubstr("https://a.org/b.jpg"));
  }
}

}  // namespace
}  // namespace striate
