// What a library without Arrow says about Parquet files.
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tables/formats.h"

namespace striate {

std::unique_ptr<RowReader> open_parquet_rows(const std::filesystem::path& path, std::string) {
  throw unsupported(cat(path.string(), ": this Striate was built without Parquet files (STRIATE_PARQUET=OFF)"),
                    "build it with Arrow (docs/install.md), or give the rows as JSON Lines, and pictures as files");
}

}  // namespace striate
