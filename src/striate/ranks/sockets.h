// Checks of the port where ranks meet, before LibTorch uses it: LibTorch's messages name neither flag nor rank.
#pragma once

#include <chrono>
#include <string>

namespace striate {

// A socket that listens on `port` of every address of this machine; the caller closes it. Throws ResourceError when the
// port is taken, InvalidInput when this user may not have it.
int listen_on(int port);

enum class PortAnswer {
  kListens,      // someone does
  kNobody,       // the machine is there, nobody listens
  kUnreachable,  // no answer, or no way there
  kUnknownName,  // no machine of that name
};
// Who listens at an address (a name, or an IPv4 or IPv6 address); waits at most `patience`, but for the system's own
// look-up of names.
PortAnswer who_listens(const std::string& address, int port, std::chrono::milliseconds patience);

}  // namespace striate
