// A model of the speed of training: how long a stream takes on a machine, from its operations, bytes and launches.
//
// Every kind of work has a limit of its own. Products with the model's matrices run at a share of the machine's rate of
// products, or as fast as their weights are read. Adapters' thin products are bounded in the same way, by the rows that
// they read and write. Norms, gates and the optimiser move bytes. A GPU works while the host launches what comes next:
// there, launches cost only what the work does not cover. docs/plan.md says where the figures come from.
#pragma once

#include <optional>
#include <string>

#include "striate/train/plan.h"

namespace striate {

// What one stream asks of a machine, its share of the optimiser's step included.
struct StreamWork {
  double products = 0;       // operations with the model's own matrices, but for
  double fp8_products = 0;   // those that a GPU's units for e4m3 compute
  double product_bytes = 0;  // of these matrices, once for each pass through them
  double product_rows = 0;   // bytes of the rows that these products read and write
  double adapters = 0;       // operations with adapters' matrices
  double adapter_bytes = 0;  // of the rows that these products read and write
  double attention = 0;      // operations
  double moved = 0;          // bytes of norms, gates, rotations, sums, dropout, losses and the optimiser
  double launches = 0;       // of kernels; on a CPU, calls of loops

  // All that is read and written, each operand of each kernel once: the least traffic that the stream causes.
  double bytes() const { return product_bytes + product_rows + adapter_bytes + moved; }
};
// Throws what plan_cost() throws.
StreamWork stream_work(const PlanRequest& request, ActivationCheckpointing checkpointing);

// What a machine does in a second.
struct MachineRates {
  double products = 0;   // operations
  double fp8 = 0;        // operations of products of e4m3; 0: it has no units for them
  double adapters = 0;   // operations
  double attention = 0;  // operations
  double memory = 0;     // bytes
  double launch = 0;     // seconds that one takes
  bool gpu = true;       // launches run ahead of the work; the rates of a CPU are measured with the bytes they need
};

// What is assumed of a GPU. nullopt where its maker states no rate (GPUs without bf16 units), and in fp32.
std::optional<MachineRates> assumed_gpu_rates(const Hardware& hardware, Compute compute);

// How a measurement takes its time: what passes, or what the processor gives this program, divided by its threads. The
// second is what a machine that others use as well would do by itself.
enum class RateClock { kWall, kProcessor };

// This machine's CPU, measured now for about half a second: products, attention and loops of the request's widths, on
// as many threads as LibTorch is set to. A rate is that of the fastest of several repetitions.
MachineRates measured_cpu_rates(const PlanRequest& request, RateClock clock = RateClock::kWall);

// Hardware of the GPU that calls itself `name` ("NVIDIA A100-SXM4-80GB" is an a100 to a plan: the name before the
// memory, whatever stands between the words), with the memory `memory`; without rates where it is not known.
Hardware gpu_hardware(const std::string& name, std::int64_t memory);

// Seconds by the kind of work.
struct StreamSeconds {
  double products = 0;  // of either kind
  double adapters = 0;
  double attention = 0;
  double moved = 0;
  double launches = 0;  // on a GPU, what the others do not cover

  double total() const { return products + adapters + attention + moved + launches; }
};
StreamSeconds predicted_seconds(const StreamWork& work, const MachineRates& rates);

}  // namespace striate
