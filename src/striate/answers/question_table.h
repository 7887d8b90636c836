// Tables of questions with their pictures inside: VLMEvalKit's TSV, and the Parquet files that lmms-eval reads.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "striate/answers/data_folder.h"
#include "striate/answers/question.h"
#include "striate/tables/rows.h"

namespace striate {

// The file names of a benchmark's tables: TSV files that begin with `tsv`, and Parquet files of a split where Hugging
// Face's repositories have them ("test-00000-of-00003.parquet", in `folder`, in data/ or without a folder).
NeededFile question_tables(const std::string& tsv, const std::string& split, const std::string& folder,
                           const std::string& from);

// Hands every row of `files` to `take`, in order, whatever their format. Their pictures join those of `set`, under
// names that begin with the file's path in the data folder.
void read_rows(QuestionSet& set, const DataFolder& data, std::span<const std::filesystem::path> files,
               const std::function<void(const Row&)>& take);

// Takes out the questions that `lacks` finds: what another file says of them is missing or malformed. Each is a
// malformed row, "PLACE: question ID WHAT".
void leave_out(QuestionSet& set, const DataFolder& data, const std::function<bool(const Question&)>& lacks,
               const std::string& what);

// The first of `columns` that the row has, as text; `otherwise` where it has none.
std::string text_of_first(const Row& row, std::initializer_list<const char*> columns, std::string_view otherwise);
// The same; throws CorruptData where it has none.
std::string text_of_first(const Row& row, std::initializer_list<const char*> columns);

// The names in a column of pictures; none where the cell is empty.
std::vector<std::string> pictures_of(const Row& row, const char* column = "image");

// A cell as pandas and the datasets library leave it: empty where it is missing, "nan" or "None" too.
std::string cell_or_empty(const Row& row, const char* column);

// The columns A, B, ... as options. Those that pandas takes for missing although they are words ("None", "NA") stay,
// and Question::missing_options has their letters.
void take_options(Question& question, const Row& row);
// The latter alone, of options that are there.
void find_missing_options(Question& question);

// Says in QuestionSet::notes how many options are words that pandas takes for missing.
void note_missing_options(QuestionSet& set);

// Pictures by the names that questions have for them.
class NamedPictures : public PictureSource {
 public:
  NamedPictures(std::map<std::string, std::string> cells, std::shared_ptr<const PictureSource> source)
      : cells_(std::move(cells)), source_(std::move(source)) {}
  bool has(const std::string& name) const override { return cells_.contains(name); }
  std::optional<std::string> bytes(const std::string& name) const override;

 private:
  std::map<std::string, std::string> cells_;  // the source's name of each
  std::shared_ptr<const PictureSource> source_;
};

}  // namespace striate
