// How the ranks of a run find each other.
#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include "striate/base/notes.h"
#include "striate/ranks/ranks.h"

namespace striate {

// Where the ranks leave word for each other; kept by rank 0, or by the launcher.
struct Meeting {
  c10::intrusive_ptr<c10d::Store> store;        // for the backend
  c10::intrusive_ptr<c10d::Store> watch_store;  // a connection of its own, for RankWatch
};

// Opens the meeting place and waits until every rank has come, for ranks.patience at most; tells the notes after a few
// seconds whom it waits for.
// Throws ResourceError that names the ranks that have not come, or says that the port is taken, that nobody listens
// there, or that the listener is not a rank of this run; InvalidInput for an address of no machine, and for ranks that
// were told different numbers of ranks.
Meeting meet(const Ranks& ranks, const Notes& notes = {});

// One more connection to the meeting place, of a rank that has met the others there. Throws ResourceError.
c10::intrusive_ptr<c10d::Store> another_connection(const Ranks& ranks);

}  // namespace striate
