// What a training run will cost each of its ranks, before anything runs: parameters, memory by kind, operations by
// kind.
#pragma once

#include <ATen/core/ScalarType.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "striate/model/config.h"
#include "striate/model/decoder_layer.h"
#include "striate/model/placement.h"
#include "striate/train/activation_memory.h"
#include "striate/train/train_pass.h"
#include "striate/train/tunable.h"

namespace striate {

struct PlanRequest {
  ModelConfig config;
  TuneOptions tune;  // as Tunable's
  Compute compute = Compute::kFloat32;
  bool on_gpu = false;
  std::int64_t gpu_memory = std::numeric_limits<std::int64_t>::max();  // bytes of the whole GPU; not known: plenty
  bool fp8_units = true;                                               // whether the GPU multiplies e4m3
  PlannedStream stream;
  std::int64_t streams = 1;  // of a rank's step, whose features are held together
  int ranks = 1;
  bool shard_optimizer = false;  // over the ranks
  // The type a frozen tensor is stored in, by its canonical name. Absent: bf16.
  std::function<at::ScalarType(const std::string&)> stored_type;
};

// Bytes.
struct MemoryPlan {
  // Frozen: in the files' types on the CPU, in the compute type on a GPU, in fewer bits outside the region where
  // `frozen_precision` says so.
  std::int64_t weights = 0;
  std::int64_t quantized = 0;   // of them, those in fewer bits
  std::int64_t parameters = 0;  // trained: fp32 masters, and their bf16 copies in bf16 compute
  std::int64_t gradients = 0;   // fp32
  std::int64_t moments = 0;     // AdamW's two, fp32
  std::int64_t exchange = 0;    // gradients under way between ranks
  // The features of a step's streams; on a GPU those of the next step as well, and those on their way to the caches.
  std::int64_t features = 0;
  // What the vision tower holds while it looks at a batch of pictures: before the pass, or beside the pass before.
  std::int64_t tower = 0;
  bool tower_beside = false;
  // While a pass runs, for each ActivationCheckpointing.
  std::int64_t activations[3] = {0, 0, 0};

  std::int64_t fixed() const { return weights + parameters + gradients + moments + exchange + features; }
  std::int64_t total(ActivationCheckpointing checkpointing) const;
};

// Floating-point operations (a multiplication and an addition are two) per token of a stream.
struct OperationsPlan {
  double forward = 0;               // of the layers and the projector, adapters included
  double input_gradient = 0;        // down to the lowest layer that needs one
  double weight_gradient = 0;       // of what is trained
  double head = 0;                  // forward and backward, at targets alone
  double recompute[3] = {0, 0, 0};  // for each ActivationCheckpointing
  double tower_per_image = 0;       // once for each picture while its features are kept; not in the sums
  // Parts of total(), for each ActivationCheckpointing: products with the thin matrices of adapters, attention's, and
  // those of a GPU's units for e4m3.
  double adapters[3] = {0, 0, 0};
  double attention[3] = {0, 0, 0};
  double fp8[3] = {0, 0, 0};

  double total(ActivationCheckpointing checkpointing) const;
};

struct TrainingCost {
  std::int64_t parameters = 0;    // trained
  std::int64_t adapter = 0;       // of them: adapters,
  std::int64_t projector = 0;     // the projector,
  std::int64_t decoder = 0;       // weights of the decoder,
  std::int64_t vision_tower = 0;  // and of the vision tower
  std::int64_t model = 0;         // parameters of the model, frozen and trained, without adapters
  std::int64_t lowest_backward_layer = 0;
  std::int64_t traffic = 0;  // bytes that a rank sends to the others in a step, and as many that it gets
  MemoryPlan memory;
  OperationsPlan operations;
};

// Whether the GPU multiplies a linear's quantised weight in e4m3 by its own units, in the forward pass: as
// FrozenMatrix::multiply() does.
bool multiplies_fp8(const PlanRequest& request, FrozenPrecision precision, const LinearShape& linear);

// Throws InvalidInput as Tunable does: layers or targets the model lacks, nothing to train.
TrainingCost plan_cost(const PlanRequest& request);

// Bytes of a teacher's matrices. On a GPU its whole model is loaded, with a vision tower and a projector of its own. On
// the CPU they are mapped files, of which the decoder counts, embedding and head included: little else is read.
std::int64_t teacher_matrix_bytes(const ModelConfig& config, const Placement& placement,
                                  const std::function<at::ScalarType(const std::string&)>& stored_type);

// The same for every layer: what the region is compared with.
PlanRequest with_all_layers(const PlanRequest& request);

// The checkpointing with the fewest operations that fits into `budget` bytes; nullopt when none does.
std::optional<ActivationCheckpointing> checkpointing_within(const MemoryPlan& memory, std::int64_t budget);

// "keep", "recompute-mlp", "recompute-layer".
std::string checkpointing_name(ActivationCheckpointing checkpointing);
inline constexpr ActivationCheckpointing kCheckpointings[] = {
    ActivationCheckpointing::kNone, ActivationCheckpointing::kMlp, ActivationCheckpointing::kLayer};

// A machine by the name people know it by.
struct Hardware {
  std::string name;
  std::int64_t memory = 0;  // bytes
  bool gpu = true;
  double bf16_rate = 0;  // dense bf16 products with fp32 sums, operations a second, as its maker states; 0: none stated
  double memory_rate = 0;  // bytes a second of its memory, as its maker states; 0: none stated
  double fp8_rate = 0;     // dense e4m3 products with fp32 sums, as its maker states; 0: it has no units for them
};
// Known names with the memory their makers state, smallest first.
std::vector<Hardware> known_hardware();
// The machines that `name` means: "a100" means a100-40 and a100-80, "4090" and "RTX 4090" mean rtx-4090, "h100-80gb"
// means h100, "this" this machine's main memory. Throws InvalidInput with the nearest name, or the list.
std::vector<Hardware> find_hardware(const std::string& name);
// This machine's main memory that is free for a program; 0 when the system does not say.
std::int64_t free_memory();
// What each of several ranks on one machine may plan with of `free` bytes of its main memory: frozen weights that are
// not quantised are mapped files, which lie there once for all of them.
std::int64_t memory_of_rank(const MemoryPlan& memory, std::int64_t free, int ranks_here);

// Throws InvalidInput where what is trained takes more than a rank has of `free` bytes with its gradients and moments;
// asked before any of it is allocated. `ranks_here` ranks divide the free bytes among themselves, and `sharing` ranks
// the optimiser's state.
void require_room_to_train(const ModelConfig& config, const TuneOptions& tune, Compute compute, std::int64_t free,
                           int ranks_here = 1, int sharing = 1);
// What of a machine's memory a run may plan for: a GPU's less what its driver and libraries take, and a twentieth that
// is lost to fragments.
std::int64_t usable_memory(const Hardware& hardware);

// What a run takes, and which cards it fits, with the layers outside the region in one of the precisions.
struct PrecisionFit {
  FrozenPrecision precision = FrozenPrecision::kStored;
  MemoryPlan memory;
  // Of kCardSizes: the checkpointing that fits; nullopt where none does.
  std::vector<std::optional<ActivationCheckpointing>> cards;
};
inline constexpr std::int64_t kCardSizes[] = {8, 16, 24, 48, 80};  // GiB
// Of a run on a GPU, in every precision; empty where no layer is frozen whole.
std::vector<PrecisionFit> fits_by_precision(const PlanRequest& request);

// Ways to make a run fit that does not, most useful first, each with the memory it would then take. Empty when it fits.
struct Advice {
  std::string change;       // "`tokens_per_stream` 4096"
  std::int64_t memory = 0;  // bytes, with recompute-layer
  bool fits = false;
};
std::vector<Advice> advise(const PlanRequest& request, std::int64_t budget);

}  // namespace striate
