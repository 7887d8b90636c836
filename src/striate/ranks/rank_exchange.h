// Short texts between the ranks of a run, beside the sums of training.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

namespace striate {

class RankExchange {
 public:
  virtual ~RankExchange() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Every rank's text, in the ranks' order, on every rank. Waits for all of them: each calls equally often, from one
  // thread at a time. Throws ResourceError when a rank is gone, or `stop` was requested.
  virtual std::vector<std::string> all(const std::string& mine, const std::stop_token& stop) = 0;
};

}  // namespace striate
