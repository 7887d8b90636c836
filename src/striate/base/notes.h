// Notes of the library: what a user may want to know and is neither an error nor a result.
//
// The library prints nothing. The caller passes in functions for notes: the program prints them on standard error.
#pragma once

#include <functional>
#include <string>

namespace striate {

// Each may be empty: such notes are dropped. They may be called from any thread.
struct Notes {
  std::function<void(const std::string&)> info;     // what was chosen, or is waited for
  std::function<void(const std::string&)> warning;  // what may not be what was meant

  void tell(const std::string& text) const {
    if (info) info(text);
  }
  void warn(const std::string& text) const {
    if (warning) warning(text);
  }
};

}  // namespace striate
