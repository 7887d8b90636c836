// Cells of a study as processes of this program: `striate study cell ID --out DIR`.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "striate/study/schedule.h"

namespace striate::app {

// What a process prints goes to the log of its cell. It ends with this process, however that ends.
class CellProcesses : public study::CellLauncher {
 public:
  // `gpus`: names for CUDA_VISIBLE_DEVICES, one for each slot in turn; none: the environment is left as it is.
  CellProcesses(int threads, std::vector<std::string> gpus) : threads_(threads), gpus_(std::move(gpus)) {}

  void start(const study::Study& study, std::size_t cell, int slot) override;
  std::optional<study::EndedCell> wait() override;
  void stop() override;

 private:
  struct Running {
    pid_t process;
    std::size_t cell;
    std::filesystem::path log;
    std::uint64_t log_begin;  // where what this process prints begins
  };

  int threads_;
  std::vector<std::string> gpus_;
  std::vector<Running> running_;
};

// The GPUs that cells may take: those of CUDA_VISIBLE_DEVICES, else all of this machine.
std::vector<std::string> visible_gpus();

}  // namespace striate::app
