#include "striate/edit/export_check.h"

#include <utility>

namespace striate {

FolderOptions OutputRequest::folder_options(ModelRecord record) const {
  return {dtype, max_shard_bytes, std::move(record), progress};
}

ExportCheck check_export(const std::vector<ProbeInput>& inputs, const std::vector<at::Tensor>& reference,
                         const ModelPaths& written, double rounding, const std::filesystem::path& out) {
  const Checkpoint checkpoint = open_checkpoint(written);
  const ExportCheck check{compare_logits(inputs, reference, probe_logits(checkpoint, inputs)),
                          logits_tolerance(rounding, checkpoint.config.decoder.layers)};
  require_same_logits(check.difference, check.tolerance, out.string());
  return check;
}

}  // namespace striate
