#include "striate/base/mapped_files.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>

#include "striate/base/strings.h"

namespace striate {
namespace {

// A signal handler may neither lock nor allocate: it reads a table of fixed size whose fields are atomic. Ranges beyond
// the table are not named; no model has so many files.
constexpr std::size_t kSlots = 4096;

struct Slot {
  std::atomic<std::uintptr_t> begin = 0;  // 0: free
  std::atomic<std::uintptr_t> end = 0;
  std::atomic<const std::string*> name = nullptr;
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free && std::atomic<const std::string*>::is_always_lock_free);

std::array<Slot, kSlots> slots;  // lives as long as the program, as the handler may
std::mutex claiming;             // of free slots

void write_text(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDERR_FILENO, text.data(), text.size());
    if (count <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

extern "C" void on_bus_error(int signal, siginfo_t* info, void*) {
  static std::atomic<bool> said = false;
  const char* const name = mapped_file_at(info->si_addr);
  if (name == nullptr) {
    ::signal(signal, SIG_DFL);  // the fault comes again, and ends the process
    return;
  }
  if (!said.exchange(true)) {
    if (::isatty(STDERR_FILENO) == 1) write_text("\r\x1b[K");  // over a progress line
    write_text("error: ");
    write_text(name);
    write_text(
        ": became shorter while it was read\nhint: try again when no other program is writing it; if the file is "
        "incomplete, download it again\n");
  }
  ::_exit(1);
}

}  // namespace

void remember_mapping(const std::byte* data, std::size_t size, const std::filesystem::path& path) {
  const std::lock_guard lock(claiming);
  for (Slot& slot : slots) {
    if (slot.begin != 0) continue;
    slot.name = new std::string(printable(path.string()));
    slot.end = reinterpret_cast<std::uintptr_t>(data) + size;
    slot.begin = reinterpret_cast<std::uintptr_t>(data);
    return;
  }
}

void forget_mapping(const std::byte* data) {
  const std::lock_guard lock(claiming);
  for (Slot& slot : slots) {
    if (slot.begin != reinterpret_cast<std::uintptr_t>(data)) continue;
    slot.end = 0;
    delete slot.name.exchange(nullptr);
    slot.begin = 0;
    return;
  }
}

const char* mapped_file_at(const void* address) {
  const auto place = reinterpret_cast<std::uintptr_t>(address);
  for (const Slot& slot : slots) {
    if (place < slot.begin || place >= slot.end) continue;
    const std::string* const name = slot.name;
    if (name != nullptr) return name->c_str();
  }
  return nullptr;
}

void explain_cut_files() {
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace striate
