#include "striate/gguf/export_gguf.h"

#include "striate/base/atomic_folder.h"
#include "striate/edit/history.h"

namespace striate {
namespace {

GgufOptions options_of(const GgufExportRequest& request, const Checkpoint& source, const std::filesystem::path& out) {
  GgufOptions options;
  options.type = request.type;
  options.vision_type = request.vision_type;
  options.with_vision = request.with_vision;
  options.name = out.filename().string();
  const std::int64_t layers = source.config.decoder.layers;
  const LayerSet origin = layer_origin(source.folder, layers);
  if (origin.depth() != layers) options.original_layers = origin.numbers();
  options.progress = request.progress;
  return options;
}

// The files opened again, against their source.
GgufCheck check_files(const GgufExport& exported, const Checkpoint& source, const std::filesystem::path& out) {
  GgufCheck check;
  check.tensors = check_gguf_tensors(exported, source, {});
  require_same_tensors(check.tensors, out.string());
  const std::vector<ProbeInput> inputs = gguf_inputs(exported, source.config);
  check.logits.difference =
      compare_logits(inputs, probe_logits(source, inputs), gguf_logits(exported, source.config, inputs));
  check.logits.tolerance = gguf_tolerance(exported, source.config, check.tensors);
  require_same_logits(check.logits.difference, check.logits.tolerance, out.string());
  return check;
}

}  // namespace

GgufExportResult export_gguf(const GgufExportRequest& request) {
  const std::filesystem::path out = free_destination(request.out);
  AtomicFolder folder(out);
  const Checkpoint source = open_checkpoint(request.model);
  GgufExportResult result{source.config.family, source.config.decoder.layers, {}, std::nullopt};
  result.files = write_gguf(folder.path(), source, {}, options_of(request, source, out));
  if (request.verify) result.check = check_files(result.files, source, request.out);
  folder.commit();
  result.files.text.path = request.out / result.files.text.path.filename();
  if (result.files.vision) result.files.vision->path = request.out / result.files.vision->path.filename();
  return result;
}

}  // namespace striate
