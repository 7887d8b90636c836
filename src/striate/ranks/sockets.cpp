#include "striate/ranks/sockets.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

// Closes itself.
class Socket {
 public:
  Socket(int family, int flags) : handle_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)) {}
  ~Socket() {
    if (handle_ >= 0) ::close(handle_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int handle() const { return handle_; }
  int release() { return std::exchange(handle_, -1); }

 private:
  int handle_;
};

// 0, or the errno of what failed.
int bind_and_listen(const Socket& socket, int family, int port) {
  constexpr int kWaiting = 4096;  // ranks that connect at once
  const int yes = 1;
  const int no = 0;
  ::setsockopt(socket.handle(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  int failed = -1;
  if (family == AF_INET6) {
    ::setsockopt(socket.handle(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_addr = in6addr_any;
    any.sin6_port = htons(static_cast<std::uint16_t>(port));
    failed = ::bind(socket.handle(), reinterpret_cast<const sockaddr*>(&any), sizeof any);
  } else {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_ANY);
    any.sin_port = htons(static_cast<std::uint16_t>(port));
    failed = ::bind(socket.handle(), reinterpret_cast<const sockaddr*>(&any), sizeof any);
  }
  if (failed != 0 || ::listen(socket.handle(), kWaiting) != 0) return errno;
  return 0;
}

PortAnswer answer_of(int error) {
  return error == ECONNREFUSED ? PortAnswer::kNobody : PortAnswer::kUnreachable;
}

PortAnswer try_one(const addrinfo& where, std::chrono::milliseconds patience) {
  const Socket socket(where.ai_family, SOCK_NONBLOCK);
  if (socket.handle() < 0) return PortAnswer::kUnreachable;
  if (::connect(socket.handle(), where.ai_addr, where.ai_addrlen) == 0) return PortAnswer::kListens;
  if (errno != EINPROGRESS) return answer_of(errno);
  pollfd wait{socket.handle(), POLLOUT, 0};
  if (::poll(&wait, 1, static_cast<int>(patience.count())) <= 0) return PortAnswer::kUnreachable;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket.handle(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 ? PortAnswer::kListens : answer_of(error);
}

}  // namespace

int listen_on(int port) {
  // One socket of IPv6 takes both kinds of address; some machines have IPv4 alone.
  int error = 0;
  for (const int family : {AF_INET6, AF_INET}) {
    Socket socket(family, 0);
    if (socket.handle() < 0) {
      error = errno;
      continue;
    }
    error = bind_and_listen(socket, family, port);
    if (error == 0) return socket.release();
    if (error == EADDRINUSE || error == EACCES) break;
  }
  if (error == EADDRINUSE) {
    throw resource_error(cat("rank 0 cannot listen on port ", port, ": another program uses it"),
                         "on every rank, set MASTER_PORT to a free port");
  }
  if (error == EACCES) {
    throw invalid_input(cat("rank 0 may not listen on port ", port),
                        "on every rank, set MASTER_PORT to a port from 1024 to 65535");
  }
  throw resource_error(cat("rank 0 cannot listen on port ", port, ": ", std::strerror(error)),
                       "check the network of this machine");
}

PortAnswer who_listens(const std::string& address, int port, std::chrono::milliseconds patience) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, &::freeaddrinfo);
  if (failed == EAI_NONAME) return PortAnswer::kUnknownName;
  PortAnswer best = PortAnswer::kUnreachable;
  for (const addrinfo* one = all.get(); one != nullptr; one = one->ai_next) {
    const PortAnswer answer = try_one(*one, patience);
    if (answer == PortAnswer::kListens) return answer;
    if (answer == PortAnswer::kNobody) best = answer;
  }
  return best;
}

}  // namespace striate
