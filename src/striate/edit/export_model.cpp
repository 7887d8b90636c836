#include "striate/edit/export_model.h"

#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/edit/adapter_folder.h"
#include "striate/edit/history.h"
#include "striate/model/adapter_base.h"
#include "striate/version.h"

namespace striate {
namespace {

// Logits of the result at `written` against the source's, unless that was not asked for.
std::optional<ExportCheck> verified(const OutputRequest& output, const Checkpoint& source, const ModelPaths& written,
                                    double rounding) {
  if (!output.verify) return std::nullopt;
  const std::vector<ProbeInput> inputs = probe_inputs(source.config);
  return check_export(inputs, probe_logits(source, inputs), written, rounding, output.out);
}

}  // namespace

ModelExport export_model(const ExportRequest& request) {
  AtomicFolder folder(free_destination(request.output.out));
  const Checkpoint source = open_checkpoint(request.model);
  const FolderOptions options =
      request.output.folder_options(model_history("striate export", STRIATE_VERSION, source, {}));
  ModelExport result{source.config.family, source.config.decoder.layers, {}, std::nullopt};
  result.written = write_model_folder(folder.path(), source, {}, options);
  ModelPaths written;
  written.model = folder.path();
  result.check = verified(request.output, source, written, result.written.rounding);
  folder.commit();
  return result;
}

AdapterExport export_adapter(const ExportRequest& request) {
  AtomicFolder folder(free_destination(request.output.out));
  ModelPaths paths = request.model;
  if (!paths.adapter) {
    throw invalid_input("`format` peft writes an adapter, and none was given",
                        "give one with `adapter` DIR, or write the whole model with `format` hf");
  }
  const Checkpoint source = open_checkpoint(paths);
  const AdapterFile adapter(*paths.adapter);
  AdapterOutOptions options;
  options.dtype = request.output.dtype;
  options.record = model_history("striate export", STRIATE_VERSION, source, {});
  options.record->set_base_weights(base_weights(paths));
  write_adapter_folder(folder.path(), adapter, source.config.family, source.folder, options);
  paths.adapter = folder.path();
  AdapterExport result;
  result.family = source.config.family;
  result.layers = adapter.layers();
  result.rank = adapter.settings().rank;
  result.matrices = 2 * adapter.pairs().size();
  result.beside = adapter.beside() != nullptr;
  result.check = verified(request.output, source, paths, options.dtype ? rounding_of(*options.dtype) : 0);
  folder.commit();
  return result;
}

}  // namespace striate
