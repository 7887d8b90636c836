#include "striate/ranks/meeting.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <optional>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/ranks/sockets.h"
#include "striate/ranks/store_text.h"

namespace striate {
namespace {

using Clock = std::chrono::steady_clock;
using Store = c10::intrusive_ptr<c10d::Store>;

constexpr std::chrono::seconds kQuiet{3};       // before it says whom it waits for
constexpr std::chrono::milliseconds kNap{100};  // between looks
constexpr std::chrono::seconds kAnswer{10};     // at most, for one answer of whoever listens
constexpr std::chrono::hours kCalls{24};        // of LibTorch's own calls: the watch notices sooner
constexpr const char* kSize = "striate/size";
constexpr const char* kAbsent = "striate/absent";
constexpr const char* kMeetingHint =
    "start every rank at about the same time, with the same MASTER_ADDR and MASTER_PORT; STRIATE_RANKS_WAIT sets the "
    "seconds they wait";

std::string come_key(int rank) {
  return cat("striate/come/", rank);
}

// Opens the place, and waits there.
class Host {
 public:
  Host(const Ranks& ranks, const Notes& notes)
      : ranks_(ranks), notes_(notes), listens_(ranks.rank == 0 && !ranks.launcher_listens), begin_(Clock::now()) {}

  Meeting open() {
    std::optional<int> socket;
    if (listens_) socket = listen_on(ranks_.port);
    Meeting meeting;
    if (!listens_) wait_for_listener();
    meeting.store = connect(socket);
    come(*meeting.store);
    wait_for_all(*meeting.store);
    meeting.watch_store = connect(std::nullopt);
    return meeting;
  }

  // A connection to the place, once it is open. LibTorch's own waits for answers have no end: they are left to a thread
  // of their own.
  Store connect(std::optional<int> socket);

 private:
  bool late() const { return Clock::now() - begin_ > ranks_.patience; }
  std::string place() const { return cat(ranks_.address, ":", ranks_.port); }
  std::string keeper() const { return ranks_.launcher_listens ? ranks_.launcher : "rank 0"; }

  bool is_time_to_say() const { return !said_ && Clock::now() - begin_ > kQuiet; }
  void say(const std::string& what) {
    said_ = true;
    notes_.tell(cat("rank ", ranks_.rank, " of ", ranks_.size, " waits at ", place(), " (at most ",
                    ranks_.patience.count(), " s): ", what));
  }

  void wait_for_listener() {
    constexpr std::chrono::seconds kTry{2};
    while (true) {
      const PortAnswer answer = who_listens(ranks_.address, ranks_.port, kTry);
      if (answer == PortAnswer::kListens) return;
      if (answer == PortAnswer::kUnknownName) {
        throw invalid_input(cat("MASTER_ADDR ", ranks_.address, ": no machine of this name was found"),
                            "on every rank, set it to the name or address of rank 0's machine");
      }
      const std::string what = answer == PortAnswer::kNobody ? "nothing listens there" : "that address does not answer";
      if (late()) {
        throw resource_error(cat("rank ", ranks_.rank, " has not found ", keeper(), " at ", place(), " in ",
                                 ranks_.patience.count(), " s: ", what),
                             kMeetingHint);
      }
      if (is_time_to_say()) say(cat(what, ", as ", keeper(), " should"));
      std::this_thread::sleep_for(kNap);
    }
  }

  Error stranger() const {
    return resource_error(cat("the program that listens at ", place(), " is not ", keeper(), " of this run"),
                          "on every rank, set MASTER_ADDR to rank 0's machine and MASTER_PORT to a free port");
  }

  void come(c10d::Store& store) {
    try {
      const std::string first = store_text(store.compareSet(kSize, {}, store_bytes(std::to_string(ranks_.size))));
      if (first != std::to_string(ranks_.size)) {
        throw invalid_input(
            cat("rank ", ranks_.rank, " expects ", ranks_.size, " ranks, but another rank expects ", first),
            "give every rank the same number of ranks (WORLD_SIZE)");
      }
      if (store.add(come_key(ranks_.rank), 1) > 1) {
        throw invalid_input(cat("another rank ", ranks_.rank, " is already connected to ", place()),
                            "give every process its own rank, and every run its own port (MASTER_PORT)");
      }
    } catch (const Error&) {
      throw;
    } catch (const std::exception&) {
      std::throw_with_nested(gone());
    }
  }

  Error gone() const { return resource_error(cat(keeper(), " has ended"), "see its own messages"); }

  void wait_for_all(c10d::Store& store) {
    std::vector<std::string> all;
    for (int rank = 0; rank < ranks_.size; ++rank) all.push_back(come_key(rank));
    try {
      while (!store.check(all)) {
        if (store.check({kAbsent})) throw resource_error(store_text(store.get(kAbsent)), kMeetingHint);
        if (late()) give_up(store);
        if (ranks_.rank == 0 && is_time_to_say()) say(absent_text(store));
        std::this_thread::sleep_for(kNap);
      }
    } catch (const Error&) {
      throw;
    } catch (const std::exception&) {
      std::throw_with_nested(gone());
    }
  }

  // "2 of 4 ranks have come, not yet ranks 1, 3"; many are cut short.
  std::string absent_text(c10d::Store& store) const {
    constexpr std::size_t kNamed = 8;
    std::vector<std::string> absent;
    for (int rank = 0; rank < ranks_.size; ++rank) {
      if (!store.check({come_key(rank)})) absent.push_back(std::to_string(rank));
    }
    const std::size_t come = static_cast<std::size_t>(ranks_.size) - absent.size();
    const bool one = absent.size() == 1;
    if (absent.size() > kNamed) {
      const std::size_t more = absent.size() - kNamed;
      absent.resize(kNamed);
      absent.back() += cat(" and ", more, " more");
    }
    return cat(come, " of ", ranks_.size, " ranks ", come == 1 ? "has" : "have", " connected, but not yet ",
               one ? "rank " : "ranks ", join(absent, ", "));
  }

  // Says so to the others that wait, who would else find rank 0 gone.
  [[noreturn]] void give_up(c10d::Store& store) {
    const std::string message = cat(absent_text(store), ": waited ", ranks_.patience.count(), " s at ", place());
    store.set(kAbsent, store_bytes(message));
    if (ranks_.rank == 0) std::this_thread::sleep_for(10 * kNap);
    throw resource_error(message, kMeetingHint);
  }

  const Ranks& ranks_;
  const Notes notes_;
  bool listens_;
  Clock::time_point begin_;
  bool said_ = false;
};

Store Host::connect(std::optional<int> socket) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(ranks_.port);
  options.isServer = socket.has_value();
  options.masterListenFd = socket;
  options.waitWorkers = false;
  const std::chrono::milliseconds answer = std::min(kAnswer, ranks_.patience);
  options.timeout = answer;
  // Whoever keeps the store is its own machine, whatever others call it.
  const std::string address = listens_ ? "127.0.0.1" : ranks_.address;
  auto made = std::make_shared<std::promise<Store>>();
  std::future<Store> result = made->get_future();
  std::thread([made, address, options] {
    try {
      made->set_value(c10::make_intrusive<c10d::TCPStore>(address, options));
    } catch (...) {
      made->set_exception(std::current_exception());
    }
  }).detach();
  if (result.wait_for(answer) != std::future_status::ready) throw stranger();
  Store store;
  try {
    store = result.get();
    store->setTimeout(kCalls);
  } catch (const std::exception&) {
    std::throw_with_nested(stranger());
  }
  if (!ranks_.prefix.empty()) store = c10::make_intrusive<c10d::PrefixStore>(ranks_.prefix, store);
  return c10::make_intrusive<c10d::PrefixStore>("striate", store);
}

}  // namespace

Meeting meet(const Ranks& ranks, const Notes& notes) {
  return Host(ranks, notes).open();
}

Store another_connection(const Ranks& ranks) {
  return Host(ranks, {}).connect(std::nullopt);
}

}  // namespace striate
