#include "striate/files/unpickler.h"

#include <bit>
#include <unordered_map>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/files/byte_reader.h"
#include "striate/files/mapped_tensor.h"
#include "striate/files/torch_rebuild.h"

namespace striate {
namespace {

constexpr std::size_t kMostBytes = 64'000'000;
constexpr std::size_t kMostValues = 4'000'000;  // a tensor takes about fifteen
constexpr std::size_t kMostOpenMarks = 1'000;   // a checkpoint nests four deep

// Named as in pickletools.py.
enum class Op : std::uint8_t {
  kMark = '(',
  kStop = '.',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kEmptyDict = '}',
  kEmptyList = ']',
  kEmptyTuple = ')',
  kBinFloat = 'G',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kProto = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

class Unpickler {
 public:
  using Ref = PickleValue::Ref;

  Unpickler(std::span<const std::byte> pickle, const std::string& file)
      : reader_(pickle, file, "its pickle"), file_(file) {}

  Unpickled run() {
    if (static_cast<Op>(reader_.u8()) != Op::kProto) reader_.fail("does not begin with a protocol number");
    const std::uint8_t protocol = reader_.u8();
    if (protocol < 2 || protocol > 5)
      throw unsupported(cat(file_, ": its pickle has protocol ", int{protocol}), "save it again with torch.save");
    while (true) {
      const auto op = static_cast<Op>(reader_.u8());
      if (op == Op::kStop) break;
      if (!scalar(op) && !container(op) && !memo(op) && !call(op)) refuse_opcode(op);
    }
    const Ref root = pop();
    if (!stack_.empty() || !marks_.empty() || reader_.remaining() != 0)
      reader_.fail("does not end where its value is complete");
    return {std::move(values_), root};
  }

 private:
  [[noreturn]] void refuse_opcode(Op op) const {
    constexpr std::string_view kHex = "0123456789abcdef";
    const auto code = static_cast<std::uint8_t>(op);
    throw unsupported(
        cat(file_, ": its pickle uses opcode 0x", kHex[code >> 4], kHex[code & 15], " (at byte ",
            reader_.position() - 1, "), which lists of tensors do not need"),
        "check that it is a file of weights, or save its tensors again with torch.save or as safetensors");
  }

  // The alternative is made in place: GCC 12 warns falsely about moving a whole variant.
  template <typename T>
  void push(T value) {
    new_value().data.template emplace<T>(std::move(value));
  }

  void push_value(PickleValue value) { new_value().data = std::move(value.data); }

  PickleValue& new_value() {
    if (values_.size() == kMostValues) {
      throw unsupported(cat(file_, ": its pickle has more than ", kMostValues, " values"), "convert it to safetensors");
    }
    PickleValue& value = values_.emplace_back();
    stack_.push_back(&value);
    return value;
  }

  // Values below the last mark are out of reach until it is closed.
  Ref pop() {
    if (stack_.size() <= floor()) reader_.fail("takes a value where there is none");
    const Ref top = stack_.back();
    stack_.pop_back();
    return top;
  }

  Ref top() const {
    if (stack_.size() <= floor()) reader_.fail("takes a value where there is none");
    return stack_.back();
  }

  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  std::vector<Ref> pop_to_mark() {
    if (marks_.empty()) reader_.fail("closes a mark that is not open");
    std::vector<Ref> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }

  std::vector<Ref> pop_several(std::size_t count) {
    if (stack_.size() - floor() < count) reader_.fail("takes a value where there is none");
    std::vector<Ref> items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }

  void push_string(std::uint64_t length) {
    const std::string_view text = reader_.text(length);
    if (!is_valid_utf8(text)) reader_.fail("has a string that is not UTF-8");
    push(std::string(text));
  }

  void push_bytes(std::uint64_t length) {
    reader_.take(length);
    push(PickleValue::Opaque{});
  }

  // Two's complement of any width up to eight bytes.
  std::int64_t long_integer() {
    const std::size_t width = reader_.u8();
    if (width > 8) reader_.fail("has an integer beyond 64 bits");
    if (width == 0) return 0;
    const std::uint64_t value = reader_.unsigned_integer(width);
    const bool negative = ((value >> (8 * width - 1)) & 1) != 0;
    const std::uint64_t sign = negative && width < 8 ? ~std::uint64_t{0} << (8 * width) : 0;
    return static_cast<std::int64_t>(value | sign);
  }

  // Big-endian, alone in the format.
  double float_number() {
    std::uint64_t bits = 0;
    for (const std::byte b : reader_.take(8)) bits = bits << 8 | static_cast<std::uint64_t>(b);
    return std::bit_cast<double>(bits);
  }

  bool scalar(Op op) {
    switch (op) {
      case Op::kNone:
        push(PickleValue::None{});
        return true;
      case Op::kNewTrue:
      case Op::kNewFalse:
        push(op == Op::kNewTrue);
        return true;
      case Op::kBinInt:
        push(std::int64_t{static_cast<std::int32_t>(reader_.u32())});
        return true;
      case Op::kBinInt1:
        push(std::int64_t{reader_.u8()});
        return true;
      case Op::kBinInt2:
        push(std::int64_t{reader_.u16()});
        return true;
      case Op::kLong1:
        push(long_integer());
        return true;
      case Op::kBinFloat:
        push(float_number());
        return true;
      case Op::kShortBinUnicode:
        push_string(reader_.u8());
        return true;
      case Op::kBinUnicode:
        push_string(reader_.u32());
        return true;
      case Op::kBinUnicode8:
        push_string(reader_.u64());
        return true;
      case Op::kShortBinBytes:
        push_bytes(reader_.u8());
        return true;
      case Op::kBinBytes:
        push_bytes(reader_.u32());
        return true;
      case Op::kBinBytes8:
        push_bytes(reader_.u64());
        return true;
      default:
        return false;
    }
  }

  bool container(Op op) {
    switch (op) {
      case Op::kMark:
        if (marks_.size() == kMostOpenMarks) reader_.fail("nests too deeply");
        marks_.push_back(stack_.size());
        return true;
      case Op::kEmptyDict:
        push(PickleValue::Dict{});
        return true;
      case Op::kEmptyList:
        push(PickleValue::Sequence{{}, false});
        return true;
      case Op::kEmptyTuple:
        push(PickleValue::Sequence{{}, true});
        return true;
      case Op::kTuple:
        push(PickleValue::Sequence{pop_to_mark(), true});
        return true;
      case Op::kTuple1:
      case Op::kTuple2:
      case Op::kTuple3:
        push(PickleValue::Sequence{pop_several(tuple_size(op)), true});
        return true;
      case Op::kAppend:
        append(pop_several(1));
        return true;
      case Op::kAppends:
        append(pop_to_mark());
        return true;
      case Op::kSetItem:
        set_items(pop_several(2));
        return true;
      case Op::kSetItems:
        set_items(pop_to_mark());
        return true;
      default:
        return false;
    }
  }

  static std::size_t tuple_size(Op op) { return op == Op::kTuple1 ? 1 : op == Op::kTuple2 ? 2 : 3; }

  void append(const std::vector<Ref>& items) {
    auto* sequence = top()->as<PickleValue::Sequence>();
    if (sequence == nullptr || sequence->is_tuple) reader_.fail("appends to something that is not a list");
    sequence->items.insert(sequence->items.end(), items.begin(), items.end());
  }

  void set_items(const std::vector<Ref>& items) {
    auto* dict = top()->as<PickleValue::Dict>();
    if (dict == nullptr || items.size() % 2 != 0) reader_.fail("sets items of something that is not a dictionary");
    for (std::size_t i = 0; i < items.size(); i += 2) dict->items.emplace_back(items[i], items[i + 1]);
  }

  bool memo(Op op) {
    switch (op) {
      case Op::kFrame:
        // Frames only help to read ahead; the bytes themselves follow.
        if (reader_.u64() > reader_.remaining()) reader_.fail("has a frame longer than itself");
        return true;
      case Op::kMemoize:
        memo_[static_cast<std::uint32_t>(memo_.size())] = top();
        return true;
      case Op::kBinPut:
        memo_[reader_.u8()] = top();
        return true;
      case Op::kLongBinPut:
        memo_[reader_.u32()] = top();
        return true;
      case Op::kBinGet:
        recall(reader_.u8());
        return true;
      case Op::kLongBinGet:
        recall(reader_.u32());
        return true;
      default:
        return false;
    }
  }

  void recall(std::uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) reader_.fail(cat("recalls value ", index, ", which it never stored"));
    stack_.push_back(found->second);
  }

  bool call(Op op) {
    try {
      switch (op) {
        case Op::kGlobal: {
          const std::string_view module = reader_.line();
          push_global(module, reader_.line());
          return true;
        }
        case Op::kStackGlobal:
          stack_global();
          return true;
        case Op::kReduce:
          reduce();
          return true;
        case Op::kBinPersId:
          push_value(pickled_storage(*pop()));
          return true;
        case Op::kBuild:
          build();
          return true;
        default:
          return false;
      }
    } catch (const PickleProblem& problem) {
      reader_.fail(cat("is refused: ", problem.what()));
    }
  }

  void stack_global() {
    const Ref name = pop();
    const Ref module = pop();
    const std::string* name_text = name->as<std::string>();
    const std::string* module_text = module->as<std::string>();
    if (name_text == nullptr || module_text == nullptr) reader_.fail("asks for a name that is not a string");
    push_global(*module_text, *name_text);
  }

  void push_global(std::string_view module, std::string_view name) {
    const std::optional<PickleGlobal> global = find_pickle_global(module, name);
    if (!global) {
      const std::string full = quoted_name(cat(module, '.', name));
      throw unsupported(cat(file_, ": its pickle asks for ", std::string_view(full).substr(1, full.size() - 2)),
                        "Striate reads only tensors and plain containers and never runs code from a file; if you trust "
                        "the file, save its tensors again as safetensors with the program that wrote it");
    }
    push(*global);
  }

  void reduce() {
    const Ref arguments = pop();
    const Ref function = pop();
    const auto* global = function->as<PickleGlobal>();
    const auto* sequence = arguments->as<PickleValue::Sequence>();
    if (global == nullptr || sequence == nullptr || !sequence->is_tuple)
      throw PickleProblem("it calls something that is not a function");
    push_value(call_pickle_global(*global, *sequence));
  }

  // An OrderedDict's attributes (a module's _metadata): nothing a tensor needs.
  void build() {
    const Ref state = pop();
    if (state->as<PickleValue::Dict>() == nullptr || top()->as<PickleValue::Dict>() == nullptr) {
      throw PickleProblem(cat("it gives ", kind_name(*top()), " the attributes of an object"));
    }
  }

  ByteReader reader_;
  const std::string& file_;
  std::deque<PickleValue> values_;
  std::vector<Ref> stack_;
  std::vector<std::size_t> marks_;  // stack heights
  std::unordered_map<std::uint32_t, Ref> memo_;
};

}  // namespace

Unpickled unpickle(std::span<const std::byte> pickle, const std::string& file) {
  if (pickle.size() > kMostBytes) {
    throw unsupported(cat(file, ": its pickle has ", human_bytes(pickle.size()), ", more than the ",
                          human_bytes(kMostBytes), " Striate reads"),
                      "check that it is a file of weights, or convert it to safetensors");
  }
  return Unpickler(pickle, file).run();
}

}  // namespace striate
