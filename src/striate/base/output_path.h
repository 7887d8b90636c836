// Where output files go. Every file that Striate makes is made at an OutputPath, and these functions alone make one:
// nothing is written outside the place that the user named, and nothing of the user's is replaced by accident.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace striate {

// What happens to an existing file in the place of an output.
enum class Existing {
  kKeep,     // it stays, and the output is refused (an empty file is replaced)
  kOurs,     // it is replaced where it is recognised as an earlier output of the same kind, else it stays
  kReplace,  // it is replaced
};

class OutputPath {
 public:
  // The file `name` inside `folder`, which is Striate's own (a folder being built, a run's folder); that folder and
  // those between are made where they are missing. Throws InvalidInput when `name` is empty or absolute, has ".." in
  // it, or leads through a link (to a folder or to a file); Resource when a folder cannot be made.
  static OutputPath inside(const std::filesystem::path& folder, const std::filesystem::path& name);

  // A file that the user named (`report`, `logits`). Through a link it is the file that the link leads to, so that the
  // link stays; a character device such as /dev/null or /dev/stdout is written to and never replaced. `mark` is text
  // that every earlier output of the same kind has in its first 64 KB, for Existing::kOurs; `hint` is what the user can
  // do about an existing file that is kept.
  // Throws InvalidInput when there is no such folder, when an existing file is kept, or for
  // folders, pipes, sockets and disks.
  static OutputPath named(const std::filesystem::path& path, Existing existing, std::string_view mark = {},
                          const std::string& hint = "give another name, or remove the file");

  const std::filesystem::path& path() const { return path_; }
  // As the user or the caller named it, for messages.
  const std::string& shown() const { return shown_; }
  bool is_device() const { return device_; }
  // Whether the user named the file itself: what dead processes left beside it is then looked for.
  bool is_named() const { return named_; }

 private:
  OutputPath(std::filesystem::path path, std::string shown, bool device, bool named)
      : path_(std::move(path)), shown_(std::move(shown)), device_(device), named_(named) {}

  std::filesystem::path path_;
  std::string shown_;
  bool device_ = false;
  bool named_ = false;
};

// The folder `name` inside `folder`, made where it is missing; checked as OutputPath::inside checks a file.
std::filesystem::path output_folder_inside(const std::filesystem::path& folder, const std::filesystem::path& name);

// A name beside `path` for what is still being written: ".NAME.striate-tmp-123-XXXXXX", 123 being this process. The X
// stand for mkstemp(3) and mkdtemp(3).
std::string temporary_pattern(const std::filesystem::path& path);

// What temporary_pattern() made for `path` and processes that have ended left behind is removed. Returns the number of
// a process that is still writing one, or 0. Nothing is removed where the file system cannot tell which processes are
// alive.
std::int64_t clear_leftovers_of(const std::filesystem::path& path);

// The same for everything in `folder`, whatever it was to become; folders inside are not entered.
void clear_leftovers_in(const std::filesystem::path& folder);

}  // namespace striate
