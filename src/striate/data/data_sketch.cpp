#include "striate/data/data_sketch.h"

#include <algorithm>
#include <string>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/data/dataset.h"
#include "striate/data/sample_encoder.h"

namespace striate {

SketchedSamples sketch_samples(const Dataset& data, const SampleEncoder& encoder, std::int64_t most) {
  SketchedSamples result;
  DataSketch& sketch = result.sketch;
  sketch.samples = data.size();
  sketch.looked_at = std::min(most, data.size());
  for (std::int64_t i = 0; i < sketch.looked_at; ++i) {
    const std::int64_t index = i * data.size() / sketch.looked_at;
    try {
      const EncodedSample sample = encoder.encode(data.read(index), data.place(index));
      sketch.tokens += static_cast<double>(sample.tokens);
      sketch.targets += static_cast<double>(sample.targets);
      sketch.images += static_cast<double>(sample.images.size());
      sketch.longest = std::max(sketch.longest, sample.tokens);
    } catch (const BadSample& bad) {
      if (sketch.bad++ == 0) result.first_bad = bad.what();
    }
  }
  const auto good = static_cast<double>(std::max<std::int64_t>(1, sketch.good()));
  for (double* mean : {&sketch.tokens, &sketch.targets, &sketch.images}) *mean /= good;
  return result;
}

DataSketch sketch_data(const ModelConfig& config, const Tokenizer& tokenizer, const std::filesystem::path& data,
                       TemplateKind conversation, std::int64_t max_tokens, std::int64_t most) {
  const SketchedSamples found =
      sketch_samples(Dataset(data), SampleEncoder(config, tokenizer, conversation, max_tokens), most);
  if (found.sketch.good() == 0) {
    throw invalid_input(
        cat(data.string(), ": none of ", found.sketch.looked_at, " samples is good; the first: ", found.first_bad),
        "striate data check lists what is wrong with each");
  }
  return found.sketch;
}

}  // namespace striate
