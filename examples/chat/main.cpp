// Asks a vision-language model about a picture, and asks again:
//
//   chat MODEL PICTURE QUESTION [QUESTION...]
//
// MODEL is a Hugging Face folder, such as llava-1.5-7b-hf; `striate init --size tiny --out tiny` makes a small one.
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/infer/chat_session.h"
#include "striate/model/load.h"

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: chat MODEL PICTURE QUESTION [QUESTION...]\n";
    return EXIT_FAILURE;
  }
  try {
    // 1. Open the folder. This reads the configuration and the headers of the weight files, not yet the weights; a
    //    folder that is not a model of a known family is refused here.
    striate::ModelPaths paths;
    paths.model = argv[1];
    const striate::Checkpoint checkpoint = striate::open_checkpoint(paths);

    // 2. Say where to compute, and in which type: here on the CPU, in the type that this CPU is fastest in.
    striate::Placement placement;
    placement.compute = striate::best_compute(placement.device);

    // 3. A session holds the loaded model, its tokenizer, and the conversation so far.
    striate::ChatSession session(checkpoint, placement, {});

    // 4. The answer arrives piece by piece. A callback prints each piece at once; it returns false to stop the answer.
    striate::GenerationOptions options;
    options.max_tokens = 64;
    striate::GenerationCallbacks callbacks;
    callbacks.on_text = [](const std::string& piece) {
      std::cout << piece << std::flush;
      return true;
    };

    // 5. The picture goes with the first question. Later questions remember it, as they remember what was said.
    std::vector<std::filesystem::path> pictures = {argv[2]};
    for (int i = 3; i < argc; ++i) {
      session.ask(argv[i], pictures, options, callbacks);
      std::cout << std::endl;
      pictures.clear();
    }
  } catch (const striate::Error& error) {
    // What went wrong is one line; the hint says what to do about it.
    std::cerr << "error: " << error.what() << "\nhint: " << error.hint() << '\n';
    return error.exit_code();
  }
}
