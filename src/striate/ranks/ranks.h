// The rank of this process and the number of ranks, from the variables that launchers set.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace striate {

struct Ranks {
  int rank = 0;
  int size = 1;
  int local_rank = 0;  // among those on this machine: which GPU is ours
  int local_size = 1;
  std::string address = "127.0.0.1";  // where rank 0 is
  int port = 29500;                   // that it listens on
  // torchrun itself listens there, and ranks only connect; the prefix keeps a restarted group apart from the old one.
  bool launcher_listens = false;
  std::string prefix;
  // How long the ranks wait for each other at the start: 20 s where they meet on this machine, else five minutes.
  std::chrono::seconds patience{20};
  std::string launcher;  // "torchrun", "mpirun", "srun"; empty for a process alone
};

// An environment variable's value, or nullopt.
using Environment = std::function<std::optional<std::string>(const char* name)>;
std::optional<std::string> process_environment(const char* name);

// Reads torchrun's variables (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), else Open MPI's
// (OMPI_COMM_WORLD_*), else those of a Slurm step (SLURM_PROCID and others; the first host of SLURM_STEP_NODELIST is
// rank 0's). MASTER_ADDR and MASTER_PORT count under all three, and STRIATE_RANKS_WAIT (seconds, from 1 to a day) sets
// the patience. Without any: a process alone. Throws InvalidInput for values that are not numbers or do not fit
// together, and when processes of several machines are not told where rank 0 is.
Ranks find_ranks(const Environment& environment = process_environment);

// "node[003-007,9],login1" -> "node003": the first host of a Slurm node list.
std::string first_host(const std::string& node_list);

}  // namespace striate
