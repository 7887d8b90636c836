#include "striate/answers/question_store.h"

#include <cstring>
#include <string_view>
#include <type_traits>

#include "striate/base/error.h"

namespace striate {
namespace {

// The members of a question one after another, lengths before texts and lists.
class StoredWriter {
 public:
  template <typename Number>
  requires std::is_arithmetic_v<Number>
  void put(Number value) { bytes_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void put(const std::string& text) {
    put(text.size());
    bytes_ += text;
  }
  void put(const std::vector<std::string>& texts) {
    put(texts.size());
    for (const std::string& text : texts) put(text);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class StoredReader {
 public:
  explicit StoredReader(std::string_view bytes) : bytes_(bytes) {}

  template <typename Number>
  requires std::is_arithmetic_v<Number>
  void get(Number& value) { std::memcpy(&value, taken(sizeof value).data(), sizeof value); }
  void get(std::string& text) {
    std::size_t size = 0;
    get(size);
    text = taken(size);
  }
  void get(std::vector<std::string>& texts) {
    std::size_t size = 0;
    get(size);
    for (; size > 0; --size) get(texts.emplace_back());
  }

 private:
  std::string_view taken(std::size_t size) {
    if (size > bytes_.size()) throw internal_error("a stored question ends too soon");
    const std::string_view part = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return part;
  }

  std::string_view bytes_;
};

std::string stored(const Question& question) {
  StoredWriter out;
  for (const std::string* text : {&question.id, &question.publisher_id, &question.text, &question.hint, &question.asked,
                                  &question.missing_options, &question.group, &question.picture_id}) {
    out.put(*text);
  }
  out.put(question.options);
  out.put(question.references);
  out.put(question.pictures);
  out.put(question.box.has_value());
  for (const double side : question.box.value_or(Box{})) out.put(side);
  out.put(question.width);
  out.put(question.height);
  out.put(question.kinds.size());
  for (const auto& [kind, values] : question.kinds) {
    out.put(kind);
    out.put(values);
  }
  return out.bytes();
}

Question restored(std::string_view bytes) {
  StoredReader in(bytes);
  Question question;
  for (std::string* text : {&question.id, &question.publisher_id, &question.text, &question.hint, &question.asked,
                            &question.missing_options, &question.group, &question.picture_id}) {
    in.get(*text);
  }
  in.get(question.options);
  in.get(question.references);
  in.get(question.pictures);
  bool has_box = false;
  in.get(has_box);
  Box box{};
  for (double& side : box) in.get(side);
  if (has_box) question.box = box;
  in.get(question.width);
  in.get(question.height);
  std::size_t kinds = 0;
  in.get(kinds);
  for (; kinds > 0; --kinds) {
    std::string kind;
    in.get(kind);
    in.get(question.kinds[kind]);
  }
  return question;
}

}  // namespace

QuestionStore::QuestionStore(const std::vector<Question>& questions)
    : file_(std::make_unique<ScratchFile>()), begins_{0} {
  begins_.reserve(questions.size() + 1);
  std::string waiting;  // written in pieces of some size
  constexpr std::size_t kPiece = 1 << 16;
  for (const Question& question : questions) {
    const std::string bytes = stored(question);
    begins_.push_back(begins_.back() + bytes.size());
    waiting += bytes;
    if (waiting.size() < kPiece) continue;
    file_->append(waiting);
    waiting.clear();
  }
  file_->append(waiting);
}

Question QuestionStore::at(std::size_t number) const {
  std::string bytes(begins_.at(number + 1) - begins_.at(number), '\0');
  file_->read_at(begins_[number], bytes);
  return restored(bytes);
}

}  // namespace striate
