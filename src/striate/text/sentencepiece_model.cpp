#include "striate/text/sentencepiece_model.h"

#include <array>
#include <cstring>
#include <optional>
#include <unordered_set>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/utf8.h"

namespace striate {
namespace {

constexpr const char* kDamagedModel = "the file is damaged or cut short: download it again";
constexpr std::size_t kMostPieces = std::size_t{1} << 21;

struct Field {
  std::uint32_t number;
  std::uint32_t wire;        // 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes
  std::uint64_t value;       // varint
  std::string_view bytes;    // length-delimited, or the fixed bytes
  std::string_view encoded;  // the whole field
};

// A protobuf message, field by field.
class ProtoMessage {
 public:
  ProtoMessage(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  std::optional<Field> next() {
    if (at_ == bytes_.size()) return std::nullopt;
    const std::size_t begin = at_;
    const std::uint64_t tag = varint();
    Field field{static_cast<std::uint32_t>(tag >> 3), static_cast<std::uint32_t>(tag & 7), 0, {}, {}};
    if (field.number == 0 || tag >> 3 > 0x1FFFFFFF) throw damaged();
    switch (field.wire) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.bytes = take(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.bytes = take(4);
        break;
      default:
        throw damaged();
    }
    field.encoded = bytes_.substr(begin, at_ - begin);
    return field;
  }

  Error damaged() const {
    return corrupt_data(cat(where_, ": not a sentencepiece model (byte ", at_, " of ", bytes_.size(), ")"),
                        kDamagedModel);
  }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) throw damaged();
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    throw damaged();
  }

  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size() - at_) throw damaged();
    const std::string_view taken = bytes_.substr(at_, count);
    at_ += count;
    return taken;
  }

  std::string_view bytes_;
  const std::string& where_;
  std::size_t at_ = 0;
};

void expect_wire(const Field& field, std::uint32_t wire, const ProtoMessage& message) {
  if (field.wire != wire) throw message.damaged();
}

SentencePieceEntry read_piece(std::string_view bytes, std::size_t id, const std::string& where) {
  SentencePieceEntry piece;
  ProtoMessage message(bytes, where);
  while (const auto field = message.next()) {
    if (field->number == 1) {
      expect_wire(*field, 2, message);
      piece.text = field->bytes;
    } else if (field->number == 2) {
      expect_wire(*field, 5, message);
      std::memcpy(&piece.score, field->bytes.data(), sizeof piece.score);
      if (!(piece.score == piece.score))
        throw corrupt_data(cat(where, ": piece ", id, " has no number for a score"), kDamagedModel);
    } else if (field->number == 3) {
      expect_wire(*field, 0, message);
      if (field->value < 1 || field->value > 6) {
        throw corrupt_data(cat(where, ": piece ", id, " is of the unknown kind ", field->value), kDamagedModel);
      }
      piece.kind = static_cast<PieceKind>(field->value);
    }
  }
  if (piece.text.empty()) throw corrupt_data(cat(where, ": piece ", id, " is empty"), kDamagedModel);
  if (!is_valid_utf8(piece.text)) throw corrupt_data(cat(where, ": piece ", id, " is not UTF-8"), kDamagedModel);
  return piece;
}

void read_trainer(std::string_view bytes, const std::string& where, SentencePieceModel& model) {
  static const std::array<const char*, 5> kNames = {"?", "unigram", "BPE", "word", "char"};
  std::uint64_t type = 1;
  ProtoMessage message(bytes, where);
  while (const auto field = message.next()) {
    if (field->number == 3) {
      expect_wire(*field, 0, message);
      type = field->value;
    } else if (field->number == 35) {
      expect_wire(*field, 0, message);
      model.byte_fallback = field->value != 0;
    } else if (field->number == 24 && field->value != 0) {
      throw unsupported(cat(where, ": a sentencepiece model that writes spaces after words is not implemented"),
                        "Striate reads models such as Llama's");
    }
  }
  if (type != 2) {
    throw unsupported(
        cat(where, ": sentencepiece model type '", kNames[type < kNames.size() ? type : 0], "' is not implemented"),
        "Striate reads BPE models such as Llama's");
  }
}

void read_normalizer(std::string_view bytes, const std::string& where, SentencePieceModel& model) {
  ProtoMessage message(bytes, where);
  while (const auto field = message.next()) {
    if (field->number == 2 && !field->bytes.empty()) {
      throw unsupported(cat(where, ": a sentencepiece model with a character map is not implemented"),
                        "Striate reads models with the identity normalizer, such as Llama's");
    }
    if (field->number == 3) {
      expect_wire(*field, 0, message);
      model.add_dummy_prefix = field->value != 0;
    }
    const bool removes_spaces = field->number == 4 && field->value != 0;
    const bool keeps_spaces = field->number == 5 && field->value == 0;
    if (removes_spaces || keeps_spaces) {
      throw unsupported(cat(where, ": a sentencepiece model that ",
                            removes_spaces ? "removes extra" : "does not escape", " white space is not implemented"),
                        "Striate reads models such as Llama's");
    }
  }
}

void check_pieces(const SentencePieceModel& model, const std::string& where) {
  std::unordered_set<std::string_view> seen;
  int unknown = 0;
  std::size_t bytes = 0;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const SentencePieceEntry& piece = model.pieces[id];
    if (!seen.insert(piece.text).second) {
      throw corrupt_data(cat(where, ": piece ", id, " '", piece.text, "' occurs twice"), kDamagedModel);
    }
    unknown += piece.kind == PieceKind::kUnknown ? 1 : 0;
    if (piece.kind != PieceKind::kByte) continue;
    static constexpr std::string_view kDigits = "0123456789ABCDEF";
    const bool well_formed = piece.text.size() == 6 && piece.text.starts_with("<0x") && piece.text[5] == '>' &&
                             kDigits.find(piece.text[3]) != std::string_view::npos &&
                             kDigits.find(piece.text[4]) != std::string_view::npos;
    if (!well_formed || !model.byte_fallback) {
      throw corrupt_data(cat(where, ": piece ", id, " '", piece.text, "' is not a byte of this model"), kDamagedModel);
    }
    ++bytes;
  }
  if (unknown != 1) throw corrupt_data(cat(where, ": ", unknown, " unknown tokens instead of one"), kDamagedModel);
  if (model.byte_fallback && bytes != 256)
    throw corrupt_data(cat(where, ": ", bytes, " of 256 byte pieces"), kDamagedModel);
}

}  // namespace

SentencePieceModel parse_sentencepiece_model(std::string_view bytes, const std::string& where) {
  SentencePieceModel model;
  bool trained = false;
  bool normalizer = false;
  ProtoMessage message(bytes, where);
  while (const auto field = message.next()) {
    if (field->number < 1 || field->number > 3) continue;
    expect_wire(*field, 2, message);
    if (field->number == 1) {
      if (model.pieces.size() == kMostPieces) throw message.damaged();
      model.pieces.push_back(read_piece(field->bytes, model.pieces.size(), where));
    } else if (field->number == 2) {
      trained = true;
      read_trainer(field->bytes, where, model);
    } else {
      normalizer = true;
      read_normalizer(field->bytes, where, model);
    }
    model.serialized += field->encoded;
  }
  if (model.pieces.empty() || !trained || !normalizer) throw message.damaged();
  check_pieces(model, where);
  return model;
}

std::string dummy_prefix_field(bool add) {
  // normalizer_spec (field 3, two bytes) { add_dummy_prefix (field 3) }: protobuf merges repeated messages.
  return std::string{'\x1A', '\x02', '\x18', add ? '\x01' : '\x00'};
}

}  // namespace striate
