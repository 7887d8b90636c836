#include "striate/model/init_model.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/model/config_writer.h"
#include "striate/model/name_map.h"
#include "striate/model/random_weights.h"
#include "striate/model/tensor_list.h"
#include "striate/model/tokenizer_copy.h"
#include "striate/tensor/sharded_writer.h"

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
  if (config.family != Family::kLlavaHf) return;
  if (c.vocab_size < 5) {
    throw invalid_input(cat("--vocab ", c.vocab_size, ": no room for the image and padding tokens"), "give at least 5");
  }
  const std::int64_t own = published.decoder.vocab_size;  // llava-hf put its two tokens after the 32000 of Vicuna
  config.image_token_id = own + 2 <= c.vocab_size ? own : c.vocab_size - 2;
  c.pad_id = *config.image_token_id + 1;
}

// Vocabulary and special ids from the tokenizer. Returns the number of rows that some token has.
std::int64_t fit_tokenizer(ModelConfig& config, const TokenizerFit& fit, std::optional<std::int64_t> wanted_vocab) {
  DecoderConfig& c = config.decoder;
  if (wanted_vocab && *wanted_vocab < fit.used_ids) {
    throw invalid_input(cat("--vocab ", *wanted_vocab, ": the tokenizer has ", fit.used_ids, " tokens"),
                        "leave --vocab out: it follows the tokenizer");
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

Naming naming_of(Family family) {
  return family == Family::kLlavaHf ? Naming::kLlavaHf : Naming::kOriginal;
}

bool is_vocabulary(const std::string& name) {
  return name == "model.embed_tokens.weight" || name == "lm_head.weight";
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
    fill_random(tensor, spec, request.seed, rows);
    writer.append(tensor);
    done += bytes_of(spec, request.dtype);
    if (progress) progress(done, writer.bytes());
  }
  writer.commit();
}

void write_config(const fs::path& folder, const ModelConfig& config, const InitRequest& request) {
  for (const auto& [name, contents] : config_files(config, request.dtype)) {
    fs::create_directories((folder / name).parent_path());
    write_file(folder / name, contents.dump(2) + "\n");
  }
  const nlohmann::json origin = {
      {"made_by", "striate init"}, {"weights", "random"}, {"arch", request.arch}, {"seed", request.seed}};
  write_file(folder / "striate.json", origin.dump(2) + "\n");
}

bool same_tensors(const std::vector<TensorSpec>& a, const std::vector<TensorSpec>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const TensorSpec& x, const TensorSpec& y) { return x.name == y.name && x.shape == y.shape; });
}

}  // namespace

InitResult init_model(const InitRequest& request, const InitProgress& progress) {
  const Architecture& arch = find_architecture(request.arch);
  InitResult result;
  result.config = shaped_config(arch, request.layout, request.changes);
  ModelConfig& config = result.config;
  if (request.max_shard_bytes == 0) throw invalid_input("--max-shard-size 0", "give a size such as 5GB");
  const fs::path destination = free_destination(request.out);
  AtomicFolder folder(destination);

  std::int64_t used_rows = std::numeric_limits<std::int64_t>::max();
  if (request.tokenizer) {
    const TokenizerFit fit = copy_tokenizer(*request.tokenizer, folder.path(), config.family == Family::kLlavaHf);
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
  const Naming naming = naming_of(config.family);
  std::vector<SafetensorsWriter::Entry> entries;
  for (const TensorSpec& spec : tensors) entries.push_back({file_name(spec.name, naming), request.dtype, spec.shape});
  ShardedWriter writer(folder.path(), std::move(entries), request.max_shard_bytes);
  result.weight_files = writer.files();

  write_config(folder.path(), config, request);
  if (!same_tensors(tensors, expected_tensors(read_model_config(folder.path())))) {
    throw internal_error(cat("the config written for ", request.arch, " describes another model"));
  }
  write_weights(writer, tensors, request, used_rows, progress);
  folder.commit();
  return result;
}

std::uint64_t parse_bytes(const std::string& text, const std::string& flag) {
  const char* const begin = text.c_str();
  char* end = nullptr;
  const double number = std::strtod(begin, &end);
  const std::string unit(trim(std::string_view(end)));
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"", 1.0},
      {"B", 1.0},
      {"kB", 1e3},
      {"KB", 1e3},
      {"MB", 1e6},
      {"GB", 1e9},
      {"TB", 1e12},
      {"KiB", 1024.0},
      {"MiB", 1024.0 * 1024},
      {"GiB", 1024.0 * 1024 * 1024},
  };
  for (const auto& [name, factor] : kUnits) {
    if (end == begin || unit != name) continue;
    const double bytes = number * factor;
    if (!(bytes >= 1.0 && bytes < 1e18)) break;
    return static_cast<std::uint64_t>(bytes);
  }
  throw invalid_input(cat(flag, " ", text, ": not a size"), "write it as 5GB, 500MB or 2GiB");
}

}  // namespace striate
