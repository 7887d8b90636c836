// Ranks that do not find each other, as threads of one process.
#include "striate/ranks/meeting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <thread>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/ranks/sockets.h"
#include "tests/support/ports.h"

namespace striate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

Ranks rank_of(int rank, int size, int port) {
  Ranks ranks;
  ranks.rank = rank;
  ranks.size = size;
  ranks.port = port;
  ranks.patience = std::chrono::seconds(1);
  return ranks;
}

// What the rank is told, or "" when it has met the others. It must have a hint.
std::string refusal(const Ranks& ranks) {
  try {
    meet(ranks);
    return "";
  } catch (const Error& error) {
    EXPECT_NE(error.hint(), "");
    return error.what();
  }
}

// The same of several that come at once.
std::vector<std::string> refusals(const std::vector<Ranks>& all) {
  std::vector<std::string> out(all.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < all.size(); ++i) threads.emplace_back([&, i] { out[i] = refusal(all[i]); });
  for (std::thread& thread : threads) thread.join();
  return out;
}

TEST(Meeting, RanksThatHaveNotComeAreNamed) {
  const int port = test::free_port();
  for (const std::string& text : refusals({rank_of(0, 4, port), rank_of(2, 4, port)})) {
    EXPECT_EQ(text, cat("2 of 4 ranks have connected, but not yet ranks 1, 3: waited 1 s at 127.0.0.1:", port));
  }
  EXPECT_THAT(refusal(rank_of(0, 20, test::free_port())),
              StartsWith("1 of 20 ranks has connected, but not yet ranks 1, 2, 3, 4, 5, 6, 7, 8 and 11 more"));
}

TEST(Meeting, ARankSaysThatItDoesNotFindRankZero) {
  const int port = test::free_port();
  EXPECT_EQ(refusal(rank_of(1, 2, port)),
            cat("rank 1 has not found rank 0 at 127.0.0.1:", port, " in 1 s: nothing listens there"));
}

TEST(Meeting, AnAddressOfNoMachineIsNamed) {
  Ranks lost = rank_of(1, 2, test::free_port());
  lost.address = "no machine has this name";
  EXPECT_THAT(refusal(lost), HasSubstr("no machine has this name"));
}

TEST(Meeting, APortThatIsTakenIsNamed) {
  const int port = test::free_port();
  const int taken = listen_on(port);
  EXPECT_EQ(refusal(rank_of(0, 2, port)), cat("rank 0 cannot listen on port ", port, ": another program uses it"));
  ::close(taken);
}

// Somebody else's program at the port: one that is silent, and one that answers in its own way.
TEST(Meeting, AStrangerAtThePortIsNotTakenForARank) {
  const int port = test::free_port();
  const int listening = listen_on(port);
  const auto expected = HasSubstr(cat("the program that listens at 127.0.0.1:", port, " is not rank 0 of this run"));
  EXPECT_THAT(refusal(rank_of(1, 2, port)), expected);
  std::thread answering([listening] {
    for (int handle = ::accept(listening, nullptr, nullptr); handle >= 0;
         handle = ::accept(listening, nullptr, nullptr)) {
      constexpr std::string_view kAnswer = "HTTP/1.1 400 Bad Request\r\n\r\n";
      [[maybe_unused]] const auto sent = ::send(handle, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
      ::close(handle);
    }
  });
  EXPECT_THAT(refusal(rank_of(1, 2, port)), expected);
  ::shutdown(listening, SHUT_RDWR);
  answering.join();
  ::close(listening);
}

TEST(Meeting, TwoProcessesOfOneRankAreRefused) {
  const int port = test::free_port();
  std::vector<std::string> all = refusals({rank_of(0, 3, port), rank_of(1, 3, port), rank_of(1, 3, port)});
  const std::string twice = cat("another rank 1 is already connected to 127.0.0.1:", port);
  EXPECT_EQ(std::count(all.begin(), all.end(), twice), 1);
}

TEST(Meeting, RanksThatWereToldDifferentNumbersOfRanksAreRefused) {
  const int port = test::free_port();
  const std::string all = join(refusals({rank_of(0, 2, port), rank_of(1, 3, port)}), "; ");
  EXPECT_THAT(all, HasSubstr(" ranks, but another rank expects "));
}

}  // namespace
}  // namespace striate
