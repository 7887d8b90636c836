// Teaches a vision-language model to see by training a quarter of its layers:
//
//   train_region MODEL DATA.json PICTURES OUT
//
// MODEL is a Hugging Face folder, DATA.json holds conversations in LLaVA's format, PICTURES is the folder of their
// pictures. OUT becomes an adapter that `striate chat --adapter OUT` and PEFT open.
#include <cstdlib>
#include <iostream>

#include "striate/base/error.h"
#include "striate/train/training_run.h"

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: train_region MODEL DATA.json PICTURES OUT\n";
    return EXIT_FAILURE;
  }
  try {
    striate::TrainingRequest request;

    // 1. The model, and where to compute: on the CPU, in the type that this CPU is fastest in.
    request.model.model = argv[1];
    request.placement.compute = striate::best_compute(request.placement.device);

    // 2. The region: a quarter of the layers, evenly spread. Each of its linear layers gets a LoRA adapter of rank 8;
    //    every other layer stays as it is.
    request.layers = "uniform:25%";
    request.tune.lora.rank = 8;

    // 3. The data: 4 samples for each of 20 steps.
    request.data.data = argv[2];
    request.data.images = argv[3];
    request.data.batch = 4;
    request.steps = 20;

    // 4. The learning rates of the adapters and of the projector, which is trained as well.
    request.rates.adapter = 2e-4;
    request.rates.projector = 2e-5;
    request.out = argv[4];

    // 5. Watch the loss while it trains. The same request with `resume` set goes on after an interruption.
    striate::TrainingObserver observer;
    observer.on_step = [](const striate::StepMetrics& step) {
      std::cout << "step " << step.step << ": loss " << step.loss << std::endl;
    };
    const striate::TrainingResult result = striate::run_training(request, striate::Ranks{}, observer);
    std::cout << "trained " << result.plan.parameters << " parameters, written to " << argv[4] << '\n';
  } catch (const striate::Error& error) {
    // What went wrong is one line; the hint says what to do about it.
    std::cerr << "error: " << error.what() << "\nhint: " << error.hint() << '\n';
    return error.exit_code();
  }
}
