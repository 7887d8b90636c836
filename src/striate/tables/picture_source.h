// Pictures that are not files of a picture folder but lie inside a table: base64 in VLMEvalKit's TSV, bytes in Parquet.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace striate {

// Who asks has names of pictures alone ("000000033471.jpg", "MMBench_DEV_EN.tsv#12/image"), and asks here first: a name
// that this does not know is a file of the picture folder. May be asked from several threads at once.
class PictureSource {
 public:
  virtual ~PictureSource() = default;
  // Whether the name is of this source; it costs next to nothing.
  virtual bool has(const std::string& name) const = 0;
  // The picture as it is stored (JPEG, PNG, ...), at most 256 MB; nullopt where the name is not of this source. Throws
  // CorruptData, naming file and row, where the cell is damaged or empty.
  virtual std::optional<std::string> bytes(const std::string& name) const = 0;
};

// Several sources as one; the first that has a name hands it over. nullptr for none, and for a list of nullptr.
std::shared_ptr<const PictureSource> join_pictures(std::vector<std::shared_ptr<const PictureSource>> sources);

}  // namespace striate
