// What a training run would cost on machines that are asked about, from the model's headers alone.
#pragma once

#include <ATen/core/ScalarType.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/notes.h"
#include "striate/data/data_sketch.h"
#include "striate/data/step_source.h"
#include "striate/model/load.h"
#include "striate/train/plan.h"
#include "striate/train/run_cost.h"
#include "striate/train/speed_model.h"
#include "striate/train/tunable.h"

namespace striate {

// A machine to plan for.
struct AskedMachine {
  std::string name;  // it was asked for by; "" where it was not named
  Hardware machine;
};

// Samples that are described instead of read.
struct SampleDescription {
  std::optional<std::int64_t> tokens;   // image rows counted; absent: a picture's rows and 192
  std::optional<std::int64_t> targets;  // of them; absent: 64
  bool text_only = false;
};

struct RunPlanRequest {
  ModelPaths model;  // without an adapter; a folder with no weights yet is opened by its configuration
  TuneMethod tune;
  std::string layers;  // the region, as the grammar of region/layer_grammar.h writes it; for Stage::kTune alone
  TrainingData data;   // its `data` empty: samples are as `sample` says
  SampleDescription sample;
  std::optional<std::filesystem::path> tokenizer;  // default: the model's folder
  std::optional<TemplateKind> conversation;        // default: the model's; plain for Stage::kAlign
  std::optional<std::int64_t> steps;               // else `epochs`
  double epochs = 1;
  // Whether the steps of epochs by tokens are counted, for which every text of the data is read; else they are
  // estimated.
  bool count_steps = false;
  std::int64_t save_every = 500;  // as TrainingRequest
  std::int64_t keep = 2;
  std::optional<at::ScalarType> save_dtype;  // of a whole model that is written; absent: the base's
  std::optional<Compute> compute;            // absent: bf16 on GPUs, the machine's best on the CPU
  int ranks = 1;                             // each on such a machine; costs are those of one of them
  bool shard_optimizer = false;              // over the ranks
  std::vector<AskedMachine> machines;        // at least one; costs are told for the first
  std::optional<MachineRates> cpu_rates;     // of this machine, measured before; absent: measured where needed
  std::optional<std::int64_t> memory;        // bytes to fit it into, instead of what the machines have
};

// What samples are like: from the data, or as they are described.
struct SampleShape {
  std::optional<DataSketch> data;  // where there is some
  double tokens = 0;               // image rows counted
  double targets = 0;
  double images = 0;
  std::optional<std::int64_t> steps = std::nullopt;  // of the run, where they were counted
};

// How fast training is predicted to be on a machine (train/speed_model.h).
struct PredictedSpeed {
  // Of a rank's stream, image rows counted; neither the vision tower nor what ranks exchange is part of it.
  double tokens_per_second = 0;
  StreamSeconds stream;     // one stream of the plan's
  double stream_bytes = 0;  // that it reads and writes, as StreamWork::bytes()
  // Of the whole run, the tower's included, with all ranks at this speed; absent: its length is not known.
  std::optional<double> seconds;
  // 1 - the time of a token here / the same for all layers, each with the checkpointing that fits. Absent: all layers
  // do not fit there, or there is no region to compare.
  std::optional<double> saving;
};

// A machine, the plan for it, and what of it fits.
struct MachineFit {
  std::string asked;  // as AskedMachine::name
  Hardware machine;
  std::int64_t usable = 0;  // bytes
  TrainingCost cost;
  std::optional<ActivationCheckpointing> checkpointing;  // absent: none fits
  std::optional<PredictedSpeed> speed;                   // absent: nothing fits, or no rates are known
  std::vector<Advice> advice;
};

struct RunPlan {
  std::string model;
  std::string layers;  // as they were asked for
  bool whole = true;   // whether the model's weights are there
  SampleShape sample;
  PlanRequest request;  // for the first machine; without stored_type
  TrainingCost region;
  TrainingCost all;                       // the same for every layer
  std::optional<RunCost> run;             // absent: neither data nor steps say how long it is
  std::optional<MachineRates> cpu_rates;  // measured, where they were
  std::vector<MachineFit> fits;           // of the machines whose memory is known
  std::vector<PrecisionFit> precisions;   // where costs are told for a GPU
};

// Reads headers and up to 1000 samples (all of them where steps are counted, as the notes say of large data), no
// weights and no picture; measures this machine's rates where a plan for it is asked for and fits. Throws InvalidInput
// for values that make no run, and what opening model, tokenizer and data throws.
RunPlan plan_run(const RunPlanRequest& request, const Notes& notes = {});

// What the plan takes of memory where it takes least.
std::int64_t least_memory(const TrainingCost& cost);

// Throws InvalidInput where a machine that was asked for by name, or the memory that was given, is too small: of
// several machines of one name one is enough.
void require_fit(const RunPlanRequest& request, const RunPlan& plan);

}  // namespace striate
