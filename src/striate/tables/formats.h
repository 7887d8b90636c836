// The readers behind open_rows(), one for each family of formats.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "striate/tables/rows.h"

namespace striate {

std::unique_ptr<RowReader> open_json_rows(const std::filesystem::path& path, std::string_view member);

// VLMEvalKit's TSV, in pandas' dialect. Fields are texts, null where the cell is empty or the line too short; words
// that pandas reads as missing ("NA", "None") stay, and is_pandas_missing() knows them. The column `image` holds
// base64, a Python list of base64, or (at most 64 characters) the `index` of the row that has the picture. Opening
// reads the file through once and keeps 16 bytes a row. A row with more cells than the header, or with an index that no
// row has, is a BadRow.
std::unique_ptr<RowReader> open_tsv_rows(const std::filesystem::path& path, std::string name);

// Parquet, through Arrow. Pictures are binary cells as Hugging Face writes them: struct<bytes, path>, or binary in a
// column called image..., picture... or photo..., or lists of either; a list's items are pictures of their own. Their
// bytes are decoded when they are asked for. Other columns become JSON: numbers, texts, lists, objects; dates as text.
// Throws CorruptData, naming rows and column, where the file is damaged or claims more than there is.
std::unique_ptr<RowReader> open_parquet_rows(const std::filesystem::path& path, std::string name);

}  // namespace striate
