// Ports for tests of several processes.
#pragma once

namespace striate::test {

// A port of this machine that nothing listens on now.
int free_port();

}  // namespace striate::test
