// VLMEvalKit's TSV: a table with base64 pictures inside. Source: vlmeval/dataset/image_base.py.
#include <unordered_map>

#include "striate/base/base64.h"
#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/tables/cell_name.h"
#include "striate/tables/formats.h"
#include "striate/tables/table_text.h"

namespace striate {
namespace {

constexpr std::size_t kLongestIndex = 64;              // characters of a cell that names another row
constexpr std::size_t kMostPictureText = 342'000'000;  // of base64: 256 MB of picture
constexpr std::string_view kPictureColumn = "image";
constexpr const char* kTsvHint = "repair the row, or get the file anew from its publisher";

std::string_view strip_quotes(std::string_view item) {
  item = trim(item);
  const bool quoted = item.size() >= 2 && (item[0] == '\'' || item[0] == '"') && item.back() == item[0];
  return quoted ? item.substr(1, item.size() - 2) : item;
}

// The base64 texts of a cell: itself, or the items of a Python list, between which base64 has no comma.
std::vector<std::string_view> picture_texts(std::string_view cell, bool& is_list) {
  is_list = cell.starts_with('[') && cell.ends_with(']');
  if (!is_list) return {cell};
  cell = trim(cell.substr(1, cell.size() - 2));
  std::vector<std::string_view> items;
  while (!cell.empty()) {
    const std::size_t comma = std::min(cell.find(','), cell.size());
    items.push_back(strip_quotes(cell.substr(0, comma)));
    cell.remove_prefix(std::min(comma + 1, cell.size()));
  }
  return items;
}

// The column `image` of every row.
class TsvPictures : public PictureSource {
 public:
  TsvPictures(std::shared_ptr<const MappedFile> file, std::string name)
      : file_(std::move(file)), name_(std::move(name)) {}

  // Takes the next row's cell; `index` is what other rows may name it by.
  void add(const TableCell& cell, const std::string& index) {
    std::string copy;
    const std::string_view text = cell.view(copy);
    if (!text.empty() && text.size() <= kLongestIndex) {
      references_.push_back({cells_.size(), std::string(text)});
    }
    if (!index.empty()) rows_.try_emplace(index, cells_.size());
    cells_.push_back(cell);
  }

  // All rows are there: which row has the picture of those that name another?
  void resolve() {
    for (const Reference& reference : references_) {
      const auto row = rows_.find(reference.index);
      if (row == rows_.end() || cells_[row->second].raw.size() <= kLongestIndex) {
        lost_[reference.row] = reference.index;
      } else {
        shared_[reference.row] = row->second;
      }
    }
    rows_.clear();
    references_.clear();
  }

  // The name of a row's picture, a list of names, or null. Throws BadRow where it names a row without a picture.
  nlohmann::json names(std::uint64_t row, const std::string& place) const {
    if (const auto lost = lost_.find(row); lost != lost_.end()) {
      throw BadRow(place,
                   cat(place, ": \"image\" is neither base64 nor the index of a row with a picture: ", lost->second),
                   kTsvHint);
    }
    if (const auto shared = shared_.find(row); shared != shared_.end()) row = shared->second;
    std::string copy;
    bool is_list = false;
    const std::string_view cell = cells_[row].view(copy);
    if (cell.empty()) return nullptr;
    const std::size_t count = picture_texts(cell, is_list).size();
    if (!is_list) return cell_name(name_, {row, std::string(kPictureColumn), std::nullopt});
    nlohmann::json names = nlohmann::json::array();
    for (std::size_t i = 0; i < count; ++i) names.push_back(cell_name(name_, {row, std::string(kPictureColumn), i}));
    return names;
  }

  bool has(const std::string& name) const override { return cell_of(name).has_value(); }

  std::optional<std::string> bytes(const std::string& name) const override {
    const auto cell = cell_of(name);
    if (!cell) return std::nullopt;
    std::string copy;
    bool is_list = false;
    const std::vector<std::string_view> texts = picture_texts(cells_[cell->row].view(copy), is_list);
    const std::size_t item = cell->item.value_or(0);
    const std::string place = cat(file_->path().string(), ", row ", cell->row);
    if (item >= texts.size()) throw corrupt_data(cat(place, ": it has no picture ", item), kTsvHint);
    if (texts[item].size() > kMostPictureText) throw corrupt_data(cat(place, ": a picture over 256 MB"), kTsvHint);
    std::optional<std::string> picture = decode_base64(texts[item]);
    if (!picture) throw corrupt_data(cat(place, ": \"image\" is not base64"), kTsvHint);
    return picture;
  }

 private:
  struct Reference {
    std::uint64_t row;
    std::string index;
  };

  std::optional<CellName> cell_of(const std::string& name) const {
    std::optional<CellName> cell = parse_cell_name(name, name_);
    if (!cell || cell->column != kPictureColumn || cell->row >= cells_.size()) return std::nullopt;
    return cell;
  }

  std::shared_ptr<const MappedFile> file_;
  std::string name_;
  std::vector<TableCell> cells_{};
  std::unordered_map<std::uint64_t, std::uint64_t> shared_{};  // rows that show another row's picture
  std::unordered_map<std::uint64_t, std::string> lost_{};      // rows that name one without a picture, and how
  std::unordered_map<std::string, std::uint64_t> rows_{};      // by index; until resolve()
  std::vector<Reference> references_{};
};

class TsvRows : public RowReader {
 public:
  TsvRows(const std::filesystem::path& path, std::string name)
      : file_(MappedFile::open(path)), text_(path.string(), file_text(), '\t') {
    if (text_.at_end()) return;
    const std::string place = text_.place();
    for (const TableCell& cell : text_.row()) header_.push_back(cell.utf8(place, "the name of a column"));
    const auto column = std::ranges::find(header_, kPictureColumn);
    if (column == header_.end()) return;
    picture_column_ = static_cast<std::size_t>(column - header_.begin());
    pictures_ = std::make_shared<TsvPictures>(file_, std::move(name));
    index_pictures();
  }

  std::shared_ptr<const PictureSource> pictures() const override { return pictures_; }

 private:
  std::optional<Row> read() override {
    while (!text_.at_end()) {
      const std::string place = text_.place();
      const std::vector<TableCell> cells = text_.row();
      if (cells.size() == 1 && cells[0].raw.empty()) continue;  // pandas skips empty lines
      const std::uint64_t number = row_++;
      if (too_long(cells)) {
        throw BadRow(place, cat(place, ": ", cells.size(), " cells, where the header has ", header_.size()), kTsvHint);
      }
      Row row{nlohmann::json::object(), {}, place};
      for (std::size_t i = 0; i < header_.size(); ++i) row.fields[header_[i]] = field(cells, i, number, place);
      return row;
    }
    return std::nullopt;
  }

  std::string_view file_text() const {
    return {reinterpret_cast<const char*>(file_->bytes().data()), file_->bytes().size()};
  }

  // pandas: a line may be short, but not long.
  bool too_long(const std::vector<TableCell>& cells) const { return cells.size() > header_.size(); }

  void index_pictures() {
    TableText rest = text_;
    const auto index = std::ranges::find(header_, "index") - header_.begin();
    while (!rest.at_end()) {
      const std::string place = rest.place();
      const std::vector<TableCell> cells = rest.row();
      if (cells.size() == 1 && cells[0].raw.empty()) continue;
      const auto at = static_cast<std::size_t>(index);
      const bool shown = !too_long(cells) && picture_column_ < cells.size();
      pictures_->add(shown ? cells[picture_column_] : TableCell{},
                     shown && at < cells.size() ? cells[at].text(place) : std::string());
    }
    pictures_->resolve();
  }

  nlohmann::json field(const std::vector<TableCell>& cells, std::size_t i, std::uint64_t number,
                       const std::string& place) const {
    if (pictures_ && i == picture_column_) return pictures_->names(number, place);
    if (i >= cells.size() || cells[i].raw.empty()) return nullptr;
    std::string text = cells[i].utf8(place, cat("cell ", i + 1));
    if (text.empty()) return nullptr;
    return text;
  }

  std::shared_ptr<const MappedFile> file_;
  TableText text_;
  std::vector<std::string> header_{};
  std::size_t picture_column_ = 0;
  std::shared_ptr<TsvPictures> pictures_{};
  std::uint64_t row_ = 0;
};

}  // namespace

std::unique_ptr<RowReader> open_tsv_rows(const std::filesystem::path& path, std::string name) {
  return std::make_unique<TsvRows>(path, std::move(name));
}

}  // namespace striate
