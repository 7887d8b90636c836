#include "striate/model/init_model.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>

#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/output_file.h"
#include "striate/base/strings.h"
#include "striate/files/sharded_writer.h"
#include "striate/model/config_writer.h"
#include "striate/model/model_record.h"
#include "striate/model/name_map.h"
#include "striate/model/random_weights.h"
#include "striate/model/tensor_list.h"
#include "striate/model/tokenizer_copy.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kVocabularyStep = 64;

// Special ids of a model without a tokenizer: the architecture's own where the vocabulary holds them.
void fit_ids(ModelConfig& config, const ModelConfig& published) {
  DecoderConfig& c = config.decoder;
  const std::int64_t last = c.vocab_size - 1;
  const auto inside = [&](std::int64_t id, std::int64_t otherwise) {
    return std::min(id <= last ? id : otherwise, last);
  };
  c.bos_id = inside(*c.bos_id, 1);
  for (std::int64_t& id : c.eos_ids) id = inside(id, 2);
  if (c.pad_id) c.pad_id = inside(*c.pad_id, 0);
  if (!config.files().image_token) return;
  if (c.vocab_size < 5) {
    throw invalid_input(cat("`vocab` ", c.vocab_size, ": no room for the image and padding tokens"), "give at least 5");
  }
  const std::int64_t own = published.decoder.vocab_size;  // llava-hf put its two tokens after the 32000 of Vicuna
  config.image_token_id = own + 2 <= c.vocab_size ? own : c.vocab_size - 2;
  c.pad_id = *config.image_token_id + 1;
}

// Vocabulary and special ids from the tokenizer. Returns the number of rows that some token has.
std::int64_t fit_tokenizer(ModelConfig& config, const TokenizerFit& fit, std::optional<std::int64_t> wanted_vocab) {
  DecoderConfig& c = config.decoder;
  if (wanted_vocab && *wanted_vocab < fit.used_ids) {
    throw invalid_input(cat("`vocab` ", *wanted_vocab, ": the tokenizer has ", fit.used_ids, " tokens"),
                        "leave out `vocab`: the tokenizer determines it");
  }
  c.vocab_size = wanted_vocab.value_or((fit.used_ids + kVocabularyStep - 1) / kVocabularyStep * kVocabularyStep);
  c.bos_id = fit.bos_id;
  c.eos_ids = fit.eos_ids;
  c.pad_id = fit.pad_id;
  config.image_token_id = fit.image_id;
  return fit.used_ids;
}

std::uint64_t bytes_of(const TensorSpec& spec, at::ScalarType dtype) {
  return static_cast<std::uint64_t>(spec.numel()) * c10::elementSize(dtype);
}

bool is_vocabulary(const std::string& name) {
  return name == "model.embed_tokens.weight" || name == "lm_head.weight";
}

// A factor or standard deviation above 0 that leaves weights within what every type holds.
void check_scale(double value, const char* what) {
  if (value > 0 && value <= 10) return;
  throw invalid_input(cat("`", what, "` ", value, " is out of range"), "give more than 0, up to 10");
}

// One buffer, of the largest tensor, serves them all.
void write_weights(ShardedWriter& writer, const std::vector<TensorSpec>& tensors, const InitRequest& request,
                   std::int64_t used_rows, const InitProgress& progress) {
  std::int64_t largest = 0;
  for (const TensorSpec& spec : tensors) largest = std::max(largest, spec.numel());
  const at::Tensor buffer = at::empty({largest}, at::TensorOptions(request.dtype));
  std::uint64_t done = 0;
  for (const TensorSpec& spec : tensors) {
    at::Tensor tensor = buffer.narrow(0, 0, spec.numel()).view(spec.shape);
    const std::int64_t rows = is_vocabulary(spec.name) ? used_rows : std::numeric_limits<std::int64_t>::max();
    fill_random(tensor, spec, request.seed, rows, request.scale);
    writer.append(tensor);
    done += bytes_of(spec, request.dtype);
    if (progress) progress(done, writer.bytes());
  }
  writer.commit();
}

void write_config(const fs::path& folder, const ModelConfig& config, const InitRequest& request) {
  for (const auto& [name, contents] : config_files(config, request.dtype)) {
    write_file(OutputPath::inside(folder, name), contents.dump(2) + "\n");
  }
  ModelRecord record;
  record.note("made_by", "striate init");
  record.note("weights", "random");
  record.note("arch", request.arch);
  record.note("seed", request.seed);
  record.note("embedding_std", request.scale.embedding_std);
  record.note("residual_scale", request.scale.residual);
  record.write(folder);
}

bool same_tensors(const std::vector<TensorSpec>& a, const std::vector<TensorSpec>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const TensorSpec& x, const TensorSpec& y) { return x.name == y.name && x.shape == y.shape; });
}

// With the architecture's name and the sizes of a small model filled in.
InitRequest whole_request(InitRequest request) {
  if (request.arch.empty() && request.size.empty()) {
    std::vector<std::string> names;
    for (const Architecture& arch : architectures()) names.push_back(arch.name);
    throw invalid_input("neither `arch` nor `size` was given",
                        cat("`size` tiny makes a small model; `arch` is one of: ", join(names, ", ")));
  }
  if (request.arch.empty()) request.arch = "llava-1.5-7b";
  if (!request.size.empty()) {
    request.changes = sized(find_architecture(request.arch), request.size, request.changes);
  }
  return request;
}

}  // namespace

InitResult init_model(const InitRequest& asked, const InitProgress& progress) {
  const InitRequest request = whole_request(asked);
  const Architecture& arch = find_architecture(request.arch);
  InitResult result;
  result.config = shaped_config(arch, request.layout, request.changes);
  ModelConfig& config = result.config;
  check_scale(request.scale.embedding_std, "embedding_std");
  check_scale(request.scale.residual, "residual_scale");
  if (request.max_shard_bytes == 0) throw invalid_input("`max_shard_size` 0 is too small", "give a size such as 5GB");
  const fs::path destination = free_destination(request.out);
  AtomicFolder folder(destination);

  std::int64_t used_rows = std::numeric_limits<std::int64_t>::max();
  if (request.tokenizer || !request.tokenizer_model.empty()) {
    const bool image_tokens = config.files().image_token;
    const TokenizerFit fit = request.tokenizer ? copy_tokenizer(*request.tokenizer, folder.path(), image_tokens)
                                               : write_tokenizer(request.tokenizer_model, folder.path(), image_tokens);
    used_rows = fit_tokenizer(config, fit, request.changes.vocab);
    result.tokenizer = fit.description;
  } else {
    fit_ids(config, arch.config);
  }
  const std::vector<TensorSpec> tensors = expected_tensors(config);
  for (const TensorSpec& spec : tensors) {
    result.parameters += static_cast<std::uint64_t>(spec.numel());
    result.bytes += bytes_of(spec, request.dtype);
  }
  require_space(folder.path(), result.bytes);
  const Naming naming = config.files().naming;
  std::vector<SafetensorsWriter::Entry> entries;
  for (const TensorSpec& spec : tensors) entries.push_back({file_name(spec.name, naming), request.dtype, spec.shape});
  ShardedWriter writer(folder.path(), "", std::move(entries), request.max_shard_bytes);
  result.weight_files = writer.files();

  write_config(folder.path(), config, request);
  if (!same_tensors(tensors, expected_tensors(read_model_config(folder.path())))) {
    throw internal_error(cat("the config written for ", request.arch, " describes another model"));
  }
  write_weights(writer, tensors, request, used_rows, progress);
  folder.commit();
  return result;
}

}  // namespace striate
