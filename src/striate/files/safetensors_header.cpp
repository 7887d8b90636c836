#include "striate/files/safetensors_header.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"
#include "striate/files/safetensors_format.h"

namespace striate {
namespace {

constexpr const char* kDamagedHeader = "the file is damaged: download or write it again";

// Receives the parser's events and fills one record after another.
class HeaderHandler {
 public:
  explicit HeaderHandler(const std::string& file) : file_(file) {}

  std::vector<SafetensorsRecord> take() { return std::move(records_); }

  bool null() { return scalar("null"); }
  bool boolean(bool) { return scalar("a boolean"); }
  bool number_integer(std::int64_t) { return scalar("a negative number"); }
  bool number_float(double, const std::string&) { return scalar("a number that is not a 64-bit integer"); }
  bool binary(nlohmann::json::binary_t&) { return scalar("binary data"); }

  bool number_unsigned(std::uint64_t value) {
    if (place_ == Place::kShape) {
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) fail("its shape overflows");
      record_.shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (place_ == Place::kOffsets) {
      if (offsets_ == 2) fail("its data_offsets are not two numbers");
      (offsets_ == 0 ? record_.begin : record_.end) = value;
      ++offsets_;
      return true;
    }
    return scalar("a number");
  }

  bool string(std::string& value) {
    if (place_ == Place::kTensor && field_ == Field::kDtype) {
      const std::optional<at::ScalarType> dtype = safetensors_dtype(value);
      if (!dtype) fail(cat("unknown dtype ", quoted_name(value)), cat("Striate reads ", safetensors_dtype_names()));
      record_.dtype = *dtype;
      return true;
    }
    if (place_ == Place::kMetadata) return true;
    return scalar("a string");
  }

  bool start_object(std::size_t) {
    switch (place_) {
      case Place::kStart:
        place_ = Place::kRoot;
        return true;
      case Place::kRoot:
        place_ = metadata_next_ ? Place::kMetadata : Place::kTensor;
        metadata_next_ = false;
        return true;
      default:
        return open_nested("an object");
    }
  }

  bool end_object() {
    if (close_nested()) return true;
    if (place_ == Place::kTensor) finish_record();
    place_ = place_ == Place::kRoot ? Place::kStart : Place::kRoot;
    return true;
  }

  bool start_array(std::size_t) {
    if (place_ == Place::kTensor && field_ == Field::kShape) {
      place_ = Place::kShape;
      return true;
    }
    if (place_ == Place::kTensor && field_ == Field::kOffsets) {
      place_ = Place::kOffsets;
      return true;
    }
    return open_nested("an array");
  }

  bool end_array() {
    if (close_nested()) return true;
    place_ = Place::kTensor;
    return true;
  }

  bool key(std::string& name) {
    if (place_ == Place::kRoot) {
      begin_entry(name);
    } else if (place_ == Place::kTensor) {
      field_ = name == "dtype"          ? Field::kDtype
               : name == "shape"        ? Field::kShape
               : name == "data_offsets" ? Field::kOffsets
                                        : Field::kOther;
      const unsigned bit = 1u << static_cast<unsigned>(field_);
      if (field_ != Field::kOther && (seen_ & bit) != 0) fail(cat("its ", name, " is given twice"));
      seen_ |= bit;
    }
    return true;
  }

  [[noreturn]] bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) {
    throw corrupt_data(cat(file_, ": its header is not valid JSON (at byte ", position, " of the header)"),
                       kDamagedHeader);
  }

 private:
  enum class Place { kStart, kRoot, kMetadata, kTensor, kShape, kOffsets, kSkipped };
  enum class Field : unsigned { kDtype, kShape, kOffsets, kOther };

  [[noreturn]] void fail(const std::string& what, std::string hint = kDamagedHeader) const {
    throw corrupt_data(cat(file_, ": tensor ", quoted_name(record_.name), ": ", what), std::move(hint));
  }

  // A scalar where none of its kind belongs; inside a field that is skipped it may be anything.
  bool scalar(const char* what) const {
    if (place_ == Place::kSkipped || (place_ == Place::kTensor && field_ == Field::kOther)) return true;
    misplaced(what);
  }

  [[noreturn]] void misplaced(const char* what) const {
    if (place_ == Place::kStart || place_ == Place::kRoot || place_ == Place::kMetadata) {
      throw corrupt_data(cat(file_, ": its header has ", what, " where ",
                             place_ == Place::kMetadata ? "a metadata string" : "an object", " belongs"),
                         kDamagedHeader);
    }
    const char* field = field_ == Field::kDtype ? "dtype" : field_ == Field::kShape ? "shape" : "data_offsets";
    fail(cat("its ", field, " holds ", what));
  }

  bool open_nested(const char* what) {
    if (place_ == Place::kTensor && field_ == Field::kOther) place_ = Place::kSkipped;
    if (place_ != Place::kSkipped) misplaced(what);
    ++skipped_depth_;
    return true;
  }

  bool close_nested() {
    if (place_ != Place::kSkipped) return false;
    if (--skipped_depth_ == 0) place_ = Place::kTensor;
    return true;
  }

  void begin_entry(const std::string& name) {
    metadata_next_ = name == kSafetensorsMetadata;
    if (metadata_next_) {
      if (metadata_seen_) throw corrupt_data(cat(file_, ": its header has __metadata__ twice"), kDamagedHeader);
      metadata_seen_ = true;
      return;
    }
    record_ = {.name = name, .dtype = at::kFloat, .shape = {}, .begin = 0, .end = 0};
    seen_ = 0;
    offsets_ = 0;
  }

  void finish_record() {
    constexpr unsigned kAll = 7;  // dtype, shape and data_offsets
    if ((seen_ & kAll) != kAll) fail("it lacks dtype, shape or data_offsets");
    if (offsets_ != 2) fail("its data_offsets are not two numbers");
    if (record_.begin > record_.end)
      fail(cat("its data ends (byte ", record_.end, ") before it begins (byte ", record_.begin, ")"));
    const std::optional<std::uint64_t> bytes = dense_bytes(record_.dtype, record_.shape);
    if (!bytes) fail("its shape overflows");
    if (*bytes != record_.end - record_.begin) {
      fail(cat("shape ", shape_text(record_.shape), " of ", *safetensors_dtype_name(record_.dtype), " needs ", *bytes,
               " bytes, but its data_offsets give it ", record_.end - record_.begin));
    }
    records_.push_back(std::move(record_));
  }

  const std::string& file_;
  std::vector<SafetensorsRecord> records_;
  SafetensorsRecord record_{};
  Place place_ = Place::kStart;
  Field field_ = Field::kOther;
  unsigned seen_ = 0;  // a bit per Field
  int offsets_ = 0;
  bool metadata_next_ = false;
  bool metadata_seen_ = false;
  std::size_t skipped_depth_ = 0;
};

}  // namespace

std::vector<SafetensorsRecord> parse_safetensors_header(std::string_view json, const std::string& file) {
  if (json.empty() || json.front() != '{') {
    throw corrupt_data(cat(file, ": its header is not a JSON object"), "check that it is a safetensors file");
  }
  HeaderHandler handler(file);
  nlohmann::json::sax_parse(json.begin(), json.end(), &handler);
  return handler.take();
}

}  // namespace striate
