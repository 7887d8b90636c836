#include "striate/base/safe_output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <ostream>
#include <thread>

namespace striate {
namespace {

// What a SafeOutput writes to a pipe, in the pieces that arrive.
class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_NONBLOCK) != 0) throw std::runtime_error("pipe failed");
  }
  ~Pipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  int writer() const { return ends_[1]; }
  std::string read() const {
    std::string text(1 << 17, '\0');
    const ssize_t count = ::read(ends_[0], text.data(), text.size());
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return text;
  }

 private:
  std::array<int, 2> ends_{};
};

TEST(OutputText, KeepsLinesTabsAndEveryScript) {
  const std::string text = "a\tb\nÄpfel, 中文, العربية, 🐈\n";
  EXPECT_EQ(output_text(text), text);
}

TEST(OutputText, EscapesWhatATerminalObeys) {
  EXPECT_EQ(output_text("\033[2J\a"), "\\u001b[2J\\u0007");
  EXPECT_EQ(output_text("a\rb\bc\x7f"), "a\\u000db\\u0008c\\u007f");
  EXPECT_EQ(output_text(std::string("\0", 1)), "\\u0000");
  EXPECT_EQ(output_text("\xC2\x9B"
                        "2J"),
            "\\u009b2J");                                           // the one-character form of ESC [
  EXPECT_EQ(output_text("\xE2\x80\xAEgnp.exe"), "\\u202egnp.exe");  // text that is shown backwards
}

TEST(OutputText, BytesThatAreNoUtf8BecomeReplacementCharacters) {
  EXPECT_EQ(output_text("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(output_text("\xC3"), "\uFFFD");
  EXPECT_EQ(output_text("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
}

TEST(OutputText, AJsonStringKeepsItsMeaning) {
  const std::string hostile = "x\x7f\xC2\x9By\xE2\x80\xAEz\n";
  const std::string shown = output_text(nlohmann::json(hostile).dump());
  EXPECT_EQ(nlohmann::json::parse(shown).get<std::string>(), hostile);
}

TEST(SafeOutput, WritesWhatAStreamIsGivenWhenItIsFlushed) {
  const Pipe pipe;
  SafeOutput buffer(pipe.writer());
  std::ostream out(&buffer);
  out << "layer " << 7 << "\033[1m" << '\n';
  EXPECT_EQ(pipe.read(), "");
  out.flush();
  EXPECT_EQ(pipe.read(), "layer 7\\u001b[1m\n");
}

TEST(SafeOutput, ACharacterThatComesInPiecesIsWrittenWhole) {
  const Pipe pipe;
  SafeOutput buffer(pipe.writer());
  std::ostream out(&buffer);
  std::string seen;
  for (const char byte : std::string("a🐈é中\xE2\x80\xAE.")) {
    out << byte << std::flush;
    seen += pipe.read();
  }
  EXPECT_EQ(seen, "a🐈é中\\u202e.");
}

TEST(SafeOutput, ACharacterThatNeverBecomesWholeIsReplacedAtTheEnd) {
  const Pipe pipe;
  {
    SafeOutput buffer(pipe.writer());
    std::ostream out(&buffer);
    out << "cut \xF0\x9F" << std::flush;
    EXPECT_EQ(pipe.read(), "cut ");
  }
  EXPECT_EQ(pipe.read(), "\uFFFD\uFFFD");
}

TEST(SafeOutput, ManyBufferfullsArriveInOrderAlsoThroughANonBlockingPipe) {
  const Pipe pipe;
  std::string sent;
  for (int i = 0; i < 60'000; ++i) sent += "Zeile " + std::to_string(i) + (i % 7 == 0 ? " é\n" : "\n");
  std::string seen;
  {
    std::jthread reader([&] {
      while (seen.size() < sent.size()) seen += pipe.read();
    });
    SafeOutput buffer(pipe.writer());
    std::ostream out(&buffer);
    out << sent;
  }
  EXPECT_TRUE(seen == sent);
}

TEST(SafeOutput, AFullDiskIsToldAndEndsTheWriting) {
  const int full = ::open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  SafeOutput buffer(full);
  std::ostream out(&buffer);
  out << "lost";
  EXPECT_EQ(buffer.error(), 0);  // nothing was written yet
  out.flush();
  EXPECT_FALSE(out.good());
  EXPECT_EQ(buffer.error(), ENOSPC);
  ::close(full);
}

}  // namespace
}  // namespace striate
