#include "striate/ranks/ranks.h"

#include <gtest/gtest.h>

#include <map>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "tests/support/errors.h"

namespace striate {
namespace {

Ranks ranks_in(std::map<std::string, std::string> variables) {
  return find_ranks([variables](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

TEST(FindRanks, WithoutALauncherAProcessIsAlone) {
  const Ranks ranks = ranks_in({});
  EXPECT_EQ(ranks.rank, 0);
  EXPECT_EQ(ranks.size, 1);
}

TEST(FindRanks, ReadsTorchrun) {
  const Ranks ranks = ranks_in({{"RANK", "5"},
                                {"WORLD_SIZE", "8"},
                                {"LOCAL_RANK", "1"},
                                {"LOCAL_WORLD_SIZE", "4"},
                                {"MASTER_ADDR", "node1"},
                                {"MASTER_PORT", "1234"},
                                {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                {"TORCHELASTIC_RESTART_COUNT", "2"}});
  EXPECT_EQ(ranks.rank, 5);
  EXPECT_EQ(ranks.size, 8);
  EXPECT_EQ(ranks.local_rank, 1);
  EXPECT_EQ(ranks.address, "node1");
  EXPECT_EQ(ranks.port, 1234);
  EXPECT_TRUE(ranks.launcher_listens);
  EXPECT_EQ(ranks.prefix, "/worker/attempt_2");
}

TEST(FindRanks, RanksOnOneMachineWaitForEachOtherLessLong) {
  const auto patience = [](std::map<std::string, std::string> more) {
    more.insert({{"RANK", "0"}, {"WORLD_SIZE", "2"}});
    return ranks_in(more).patience.count();
  };
  EXPECT_EQ(patience({}), 20);
  EXPECT_EQ(patience({{"MASTER_ADDR", "localhost"}}), 20);
  EXPECT_EQ(patience({{"MASTER_ADDR", "node7"}}), 300);
  EXPECT_EQ(patience({{"MASTER_ADDR", "node7"}, {"STRIATE_RANKS_WAIT", "45"}}), 45);
  for (const char* wrong : {"0", "-1", "90000", "soon"}) {
    EXPECT_ERROR(patience({{"STRIATE_RANKS_WAIT", wrong}}), cat("STRIATE_RANKS_WAIT=", wrong)) << wrong;
  }
}

TEST(FindRanks, ReadsOpenMpi) {
  const Ranks ranks = ranks_in({{"OMPI_COMM_WORLD_RANK", "2"},
                                {"OMPI_COMM_WORLD_SIZE", "3"},
                                {"OMPI_COMM_WORLD_LOCAL_RANK", "2"},
                                {"OMPI_COMM_WORLD_LOCAL_SIZE", "3"}});
  EXPECT_EQ(ranks.rank, 2);
  EXPECT_EQ(ranks.size, 3);
  EXPECT_EQ(ranks.address, "127.0.0.1");
  EXPECT_FALSE(ranks.launcher_listens);
}

TEST(FindRanks, ReadsASlurmStepAndNotABatchScript) {
  std::map<std::string, std::string> variables = {{"SLURM_PROCID", "3"},
                                                  {"SLURM_NTASKS", "8"},
                                                  {"SLURM_JOB_ID", "123456"},
                                                  {"SLURM_LOCALID", "1"},
                                                  {"SLURM_STEP_NUM_NODES", "4"},
                                                  {"SLURM_STEP_NUM_TASKS", "8"},
                                                  {"SLURM_STEP_NODELIST", "gpu[07-10]"}};
  EXPECT_EQ(ranks_in(variables).size, 1);
  variables.emplace("SLURM_STEP_ID", "0");
  const Ranks ranks = ranks_in(variables);
  EXPECT_EQ(ranks.rank, 3);
  EXPECT_EQ(ranks.size, 8);
  EXPECT_EQ(ranks.local_rank, 1);
  EXPECT_EQ(ranks.local_size, 2);
  EXPECT_EQ(ranks.address, "gpu07");
  EXPECT_EQ(ranks.port, 15000 + 3456);
}

TEST(FindRanks, FirstHostOfEveryKindOfList) {
  EXPECT_EQ(first_host("node1"), "node1");
  EXPECT_EQ(first_host("node1,node2"), "node1");
  EXPECT_EQ(first_host("node[003-007,9],login1"), "node003");
  EXPECT_EQ(first_host("node[5,9]"), "node5");
  EXPECT_EQ(first_host("login1,node[5-9]"), "login1");
}

TEST(FindRanks, RefusesWhatDoesNotFitTogether) {
  EXPECT_ERROR(ranks_in({{"RANK", "1"}}), "WORLD_SIZE is not");
  EXPECT_ERROR(ranks_in({{"RANK", "2"}, {"WORLD_SIZE", "2"}}), "rank 2 of 2");
  EXPECT_ERROR(ranks_in({{"RANK", "x"}, {"WORLD_SIZE", "2"}}), "RANK=x");
  EXPECT_ERROR(ranks_in({{"RANK", "-1"}, {"WORLD_SIZE", "2"}}), "RANK=-1");
  EXPECT_ERROR(ranks_in({{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "70000"}}), "MASTER_PORT 70000");
}

TEST(FindRanks, SeveralMachinesMustBeToldWhereRank0Is) {
  std::map<std::string, std::string> variables = {
      {"OMPI_COMM_WORLD_RANK", "2"}, {"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
  EXPECT_ERROR(ranks_in(variables), "MASTER_ADDR is not set");
  variables.emplace("MASTER_ADDR", "10.0.0.1");
  EXPECT_EQ(ranks_in(variables).address, "10.0.0.1");
}

}  // namespace
}  // namespace striate
