// A benchmark's worker: commands come as JSON lines on standard input, each is answered by one JSON line. Workers stay
// loaded while the driver asks them in turn, so that programs are compared under the same load of the machine.
#pragma once

#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

namespace striate::bench {

// Announces the worker with `greeting`, then answers until standard input ends. What `answer` throws becomes
// {"error": message}.
inline void serve(const nlohmann::json& greeting,
                  const std::function<nlohmann::json(const nlohmann::json& command)>& answer) {
  std::cout << greeting.dump() << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
    nlohmann::json reply;
    try {
      reply = answer(nlohmann::json::parse(line));
    } catch (const std::exception& error) {
      reply = {{"error", error.what()}};
    }
    std::cout << reply.dump() << std::endl;
  }
}

}  // namespace striate::bench
