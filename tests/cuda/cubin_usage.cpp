#include "tests/cuda/cubin_usage.h"

#include <elf.h>

#include <cstring>
#include <stdexcept>
#include <vector>

namespace striate::test {
namespace {

// Attributes of the section .nv.info, as cuobjdump and nvdisasm name them.
constexpr std::uint8_t kSizedValue = 0x04;  // EIFMT_SVAL
constexpr std::uint8_t kRegisters = 0x2F;   // EIATTR_REGCOUNT: [symbol, registers]
constexpr std::uint8_t kFrame = 0x11;       // EIATTR_FRAME_SIZE: [symbol, bytes]

template <typename T>
T at(std::string_view bytes, std::uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) throw std::runtime_error("a cubin that ends early");
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::string text_at(std::string_view bytes, std::uint64_t offset) {
  if (offset >= bytes.size()) throw std::runtime_error("a name outside of the cubin");
  return std::string(bytes.substr(offset, bytes.find('\0', offset) - offset));
}

class Cubin {
 public:
  explicit Cubin(std::string_view bytes) : bytes_(bytes) {
    const auto header = at<Elf64_Ehdr>(bytes, 0);
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) throw std::runtime_error("no ELF file");
    for (std::uint64_t i = 0; i < header.e_shnum; ++i) {
      sections_.push_back(at<Elf64_Shdr>(bytes, header.e_shoff + i * sizeof(Elf64_Shdr)));
    }
    names_ = sections_.at(header.e_shstrndx).sh_offset;
  }

  const std::vector<Elf64_Shdr>& sections() const { return sections_; }
  std::string name(const Elf64_Shdr& section) const { return text_at(bytes_, names_ + section.sh_name); }

  std::string symbol(std::uint32_t index) const {
    for (const Elf64_Shdr& section : sections_) {
      if (section.sh_type != SHT_SYMTAB) continue;
      const auto symbol = at<Elf64_Sym>(bytes_, section.sh_offset + index * sizeof(Elf64_Sym));
      return text_at(bytes_, sections_.at(section.sh_link).sh_offset + symbol.st_name);
    }
    throw std::runtime_error("a cubin without symbols");
  }

 private:
  std::string_view bytes_;
  std::vector<Elf64_Shdr> sections_;
  std::uint64_t names_ = 0;
};

}  // namespace

std::map<std::string, KernelUsage> cubin_usage(std::string_view bytes) {
  const Cubin cubin(bytes);
  std::map<std::string, KernelUsage> kernels;
  for (const Elf64_Shdr& section : cubin.sections()) {
    if (cubin.name(section) != ".nv.info") continue;
    const std::uint64_t end = section.sh_offset + section.sh_size;
    for (std::uint64_t offset = section.sh_offset; offset < end;) {
      const auto format = at<std::uint8_t>(bytes, offset);
      const auto attribute = at<std::uint8_t>(bytes, offset + 1);
      const auto size = at<std::uint16_t>(bytes, offset + 2);
      offset += 4;
      if (format != kSizedValue) continue;
      if (attribute == kRegisters || attribute == kFrame) {
        const std::string name = cubin.symbol(at<std::uint32_t>(bytes, offset));
        const auto value = at<std::uint32_t>(bytes, offset + 4);
        if (attribute == kRegisters) kernels[name].registers = value;
        // The functions that a kernel calls stand beside it as "$kernel$function".
        if (attribute == kFrame && !name.starts_with('$')) kernels[name].stack = value;
        if (attribute == kFrame && name.starts_with('$') && value > 0) kernels[name].stack = value;
      }
      offset += size;
    }
  }
  constexpr std::string_view kShared = ".nv.shared.";
  for (const Elf64_Shdr& section : cubin.sections()) {
    const std::string name = cubin.name(section);
    if (!name.starts_with(kShared)) continue;
    const auto kernel = kernels.find(name.substr(kShared.size()));
    if (kernel != kernels.end()) kernel->second.shared_bytes = section.sh_size;
  }
  return kernels;
}

}  // namespace striate::test
