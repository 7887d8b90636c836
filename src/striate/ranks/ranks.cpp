#include "striate/ranks/ranks.h"

#include <charconv>
#include <cstdlib>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr int kDefaultPort = 29500;  // torchrun's

// The number in a variable; nullopt when it is not set.
std::optional<int> number(const Environment& environment, const char* name) {
  const auto text = environment(name);
  if (!text) return std::nullopt;
  int value = 0;
  const auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (failed != std::errc() || end != text->data() + text->size() || value < 0) {
    throw invalid_input(cat("environment variable ", name, "=", *text, ": not a number"),
                        "start the ranks with torchrun, mpirun or srun");
  }
  return value;
}

int required(const Environment& environment, const char* name, const char* beside) {
  const auto value = number(environment, name);
  if (value) return *value;
  throw invalid_input(cat("environment variable ", beside, " is set and ", name, " is not"),
                      "start the ranks with torchrun, mpirun or srun, or unset the variable for a single process");
}

Ranks of_torchrun(const Environment& environment) {
  Ranks ranks;
  ranks.launcher = "torchrun";
  ranks.rank = required(environment, "RANK", "WORLD_SIZE");
  ranks.size = required(environment, "WORLD_SIZE", "RANK");
  ranks.local_rank = number(environment, "LOCAL_RANK").value_or(ranks.rank);
  ranks.local_size = number(environment, "LOCAL_WORLD_SIZE").value_or(ranks.size);
  ranks.launcher_listens = environment("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
  if (ranks.launcher_listens) {
    ranks.prefix = cat("/worker/attempt_", environment("TORCHELASTIC_RESTART_COUNT").value_or("0"));
  }
  return ranks;
}

Ranks of_mpi(const Environment& environment) {
  Ranks ranks;
  ranks.launcher = "mpirun";
  ranks.rank = required(environment, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE");
  ranks.size = required(environment, "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK");
  ranks.local_rank = number(environment, "OMPI_COMM_WORLD_LOCAL_RANK").value_or(ranks.rank);
  ranks.local_size = number(environment, "OMPI_COMM_WORLD_LOCAL_SIZE").value_or(ranks.size);
  return ranks;
}

Ranks of_slurm(const Environment& environment) {
  Ranks ranks;
  ranks.launcher = "srun";
  ranks.rank = required(environment, "SLURM_PROCID", "SLURM_STEP_ID");
  const auto of_step = number(environment, "SLURM_STEP_NUM_TASKS");
  ranks.size = of_step ? *of_step : required(environment, "SLURM_NTASKS", "SLURM_PROCID");
  ranks.local_rank = number(environment, "SLURM_LOCALID").value_or(ranks.rank);
  const int nodes = number(environment, "SLURM_STEP_NUM_NODES").value_or(1);
  ranks.local_size = nodes > 0 ? (ranks.size + nodes - 1) / nodes : ranks.size;
  auto hosts = environment("SLURM_STEP_NODELIST");
  if (!hosts) hosts = environment("SLURM_JOB_NODELIST");
  if (hosts && nodes > 1) ranks.address = first_host(*hosts);
  constexpr int kFirstPort = 15000;
  constexpr int kPorts = 10000;
  // Jobs that share a machine must not share a port.
  if (const auto job = number(environment, "SLURM_JOB_ID")) ranks.port = kFirstPort + *job % kPorts;
  return ranks;
}

void check(const Ranks& ranks) {
  constexpr int kMostRanks = 1 << 16;
  if (ranks.size > kMostRanks) {
    throw invalid_input(cat(ranks.launcher, ": ", ranks.size, " ranks are too many"), cat("use at most ", kMostRanks));
  }
  if (ranks.size < 1 || ranks.rank >= ranks.size) {
    throw invalid_input(cat(ranks.launcher, ": rank ", ranks.rank, " of ", ranks.size),
                        "ranks are counted from 0; start them with torchrun, mpirun or srun");
  }
  if (ranks.port < 1 || ranks.port > 65535) {
    throw invalid_input(cat("MASTER_PORT ", ranks.port, " is not a port"), "give a number from 1 to 65535");
  }
}

std::chrono::seconds patience_of(const Environment& environment, const std::string& address) {
  constexpr std::chrono::seconds kHere{20};
  constexpr std::chrono::seconds kElsewhere{300};
  constexpr int kMost = 24 * 3600;
  const auto wanted = number(environment, "STRIATE_RANKS_WAIT");
  if (wanted && (*wanted < 1 || *wanted > kMost)) {
    throw invalid_input(cat("environment variable STRIATE_RANKS_WAIT=", *wanted, " is not a number of seconds"),
                        cat("give the seconds that ranks wait for each other, from 1 to ", kMost));
  }
  if (wanted) return std::chrono::seconds(*wanted);
  const bool here = address == "localhost" || address == "::1" || address.starts_with("127.");
  return here ? kHere : kElsewhere;
}

}  // namespace

std::optional<std::string> process_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::string first_host(const std::string& node_list) {
  const std::size_t bracket = node_list.find('[');
  const std::size_t comma = node_list.find(',');
  if (bracket == std::string::npos || comma < bracket) return node_list.substr(0, comma);
  const std::size_t end = node_list.find_first_of("-,]", bracket);
  return node_list.substr(0, bracket) + node_list.substr(bracket + 1, end - bracket - 1);
}

Ranks find_ranks(const Environment& environment) {
  Ranks ranks;
  ranks.port = kDefaultPort;
  if (environment("RANK") || environment("WORLD_SIZE")) {
    ranks = of_torchrun(environment);
  } else if (environment("OMPI_COMM_WORLD_SIZE")) {
    ranks = of_mpi(environment);
  } else if (environment("SLURM_STEP_ID") && environment("SLURM_PROCID")) {
    // A batch script has SLURM_PROCID too, though it is a process alone; only steps have an id.
    ranks = of_slurm(environment);
  }
  const bool told = environment("MASTER_ADDR").has_value() || ranks.address != "127.0.0.1";
  if (const auto address = environment("MASTER_ADDR")) ranks.address = *address;
  if (const auto port = number(environment, "MASTER_PORT")) ranks.port = *port;
  ranks.patience = patience_of(environment, ranks.address);
  check(ranks);
  if (!told && ranks.size > ranks.local_size) {
    throw invalid_input(
        cat(ranks.launcher, " started ", ranks.size, " ranks on several machines, and MASTER_ADDR is not set"),
        "set MASTER_ADDR (and MASTER_PORT) to rank 0's machine");
  }
  return ranks;
}

}  // namespace striate
