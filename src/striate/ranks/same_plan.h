// Whether all ranks are about to train the same thing.
#pragma once

#include <nlohmann/json.hpp>

#include "striate/ranks/rank_exchange.h"

namespace striate {

// `plan` is an object with all that decides a run's steps. Throws InvalidInput, the same on every rank, that names the
// first rank whose plan is another than rank 0's and the first field that differs.
void check_same_plan(const nlohmann::json& plan, RankExchange& ranks);

}  // namespace striate
