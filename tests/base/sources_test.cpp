// What no test of behaviour can show of code that is still to be written: rules about the sources themselves.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

using Words = std::vector<std::string_view>;

bool in_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Where `word` stands in `code` as a whole name, from `at` on; npos: nowhere.
std::size_t find_word(std::string_view code, std::string_view word, std::size_t at = 0) {
  for (at = code.find(word, at); at != code.npos; at = code.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !in_name(code[at - 1])) && (end == code.size() || !in_name(code[end]))) return at;
  }
  return code.npos;
}

bool has_word(std::string_view code, const Words& words) {
  return std::any_of(words.begin(), words.end(), [&](auto word) { return find_word(code, word) != code.npos; });
}

// Whether a name of `names` stands there with `(` behind it.
bool has_call(std::string_view code, const Words& names) {
  for (const std::string_view name : names) {
    for (std::size_t at = find_word(code, name); at != code.npos; at = find_word(code, name, at + 1)) {
      const std::size_t next = code.find_first_not_of(' ', at + name.size());
      if (next != code.npos && code[next] == '(') return true;
    }
  }
  return false;
}

// What is behind the first name of `names` that `code` takes from std::filesystem, as `fs::name`; nullopt: it takes
// none.
std::optional<std::string_view> behind_filesystem_name(std::string_view code, const Words& names) {
  for (const std::string_view space : {"fs", "filesystem"}) {
    for (std::size_t at = find_word(code, space); at != code.npos; at = find_word(code, space, at + 1)) {
      std::string_view rest = code.substr(at + space.size());
      if (!rest.starts_with("::")) continue;
      rest.remove_prefix(2);
      const auto end = static_cast<std::size_t>(std::find_if_not(rest.begin(), rest.end(), in_name) - rest.begin());
      if (std::find(names.begin(), names.end(), rest.substr(0, end)) != names.end()) return rest.substr(end);
    }
  }
  return std::nullopt;
}

// A line without what it says in quotes, and without its comment.
std::string code_of(std::string_view line) {
  std::string code;
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (!quoted && line.substr(i).starts_with("'\"'")) {
      i += 2;  // the character
    } else if (quoted && line[i] == '\\') {
      ++i;
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (!quoted) {
      if (line.substr(i).starts_with("//")) break;
      code += line[i];
    }
  }
  return code;
}

bool is_source(const std::string& name) {
  return name.ends_with(".cpp") || name.ends_with(".h");
}

// "FILE:LINE: TEXT" of every line in `parts` whose code is found, but for those in `allowed`.
template <typename Found>
std::vector<std::string> lines_with(const Found& is_found, const std::vector<std::string>& allowed,
                                    const std::vector<std::string>& parts = {"src/striate", "apps/striate"}) {
  std::vector<std::string> found;
  for (const std::string& part : parts) {
    for (const auto& entry : fs::recursive_directory_iterator(test::sources() / part)) {
      const std::string name = fs::relative(entry.path(), test::sources()).string();
      if (!is_source(name) || std::find(allowed.begin(), allowed.end(), name) != allowed.end()) continue;
      int number = 0;
      for (const std::string& line : split(read_file(entry.path()), '\n')) {
        ++number;
        if (is_found(code_of(line))) found.push_back(cat(name, ":", number, ": ", std::string(trim(line))));
      }
    }
  }
  return found;
}

// The rooms in dependency order, as the library's CMakeLists.txt adds them.
std::vector<std::string> rooms_in_order() {
  constexpr std::string_view kAdds = "add_subdirectory(";
  std::vector<std::string> rooms;
  for (const std::string& line : split(read_file(test::sources() / "src/striate/CMakeLists.txt"), '\n')) {
    if (line.starts_with(kAdds)) rooms.push_back(line.substr(kAdds.size(), line.find(')') - kAdds.size()));
  }
  return rooms;
}

// The rooms whose headers a source includes.
std::vector<std::string> included_rooms(const std::string& text) {
  constexpr std::string_view kInclude = "#include \"striate/";
  std::vector<std::string> rooms;
  for (std::size_t at = text.find(kInclude); at != text.npos; at = text.find(kInclude, at + 1)) {
    const std::size_t begin = at + kInclude.size();
    const std::size_t end = text.find_first_of("/\"", begin);
    if (text[end] == '/') rooms.push_back(text.substr(begin, end - begin));
  }
  return rooms;
}

TEST(Sources, TheSearchSeesCodeAndNotWhatIsSaid) {
  EXPECT_EQ(code_of(R"x(throw x("rename(\"a\")", 1, '"');  // fopen(it))x"), "throw x(, 1, );  ");
  EXPECT_TRUE(has_call("std::rename (a, b)", {"rename"}));
  EXPECT_FALSE(has_call("is_rename(a); rename_it(b); rename = 1", {"rename"}));
  EXPECT_TRUE(has_word("std::cout << x", {"cout"}));
  EXPECT_EQ(behind_filesystem_name("std::filesystem::exists(p)", {"status", "exists"}), "(p)");
  EXPECT_FALSE(behind_filesystem_name("our::exists(p), xfs::exists(p), fs::exists_now(p)", {"exists"}));
  EXPECT_EQ(included_rooms("#include \"striate/base/error.h\"\n#include \"striate/version.h\"\n"),
            std::vector<std::string>{"base"});
}

TEST(Sources, ARoomIncludesOnlyRoomsAboveIt) {
  const std::vector<std::string> rooms = rooms_in_order();
  ASSERT_GT(rooms.size(), 10U);
  std::vector<std::string> found;
  for (std::size_t room = 0; room < rooms.size(); ++room) {
    const fs::path folder = test::sources() / "src/striate" / rooms[room];
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (!is_source(name)) continue;
      for (const std::string& included : included_rooms(read_file(entry.path()))) {
        const auto of = std::find(rooms.begin(), rooms.end(), included);
        ASSERT_NE(of, rooms.end()) << name << " includes " << included << ", which CMakeLists.txt does not add";
        if (of - rooms.begin() > static_cast<std::ptrdiff_t>(room))
          found.push_back(cat(rooms[room], "/", name, ": ", included));
      }
    }
  }
  EXPECT_TRUE(found.empty()) << "these include a room below their own:\n" << join(found, "\n");
}

TEST(Sources, FilesAreMadeAtCheckedPlacesAlone) {
  const auto makes_a_file = [](std::string_view code) {
    return has_word(code, {"ofstream", "O_CREAT"}) ||
           has_call(code, {"fopen", "freopen", "creat", "mkstemp", "mkostemp", "mkdtemp", "create_directory",
                           "create_directories", "copy_file", "rename"});
  };
  const auto found =
      lines_with(makes_a_file, {"src/striate/base/output_path.cpp", "src/striate/base/output_file.cpp",
                                "src/striate/base/atomic_folder.cpp", "src/striate/base/process_lock.cpp",
                                "src/striate/base/paths.cpp", "src/striate/base/scratch_file.cpp"});
  EXPECT_TRUE(found.empty()) << "write through base/output_file.h:\n" << join(found, "\n");
}

TEST(Sources, PathsAreAskedAboutInOurWords) {
  // std::filesystem's questions throw in words of their own, or take what cannot be looked at for absent.
  const auto asks = [](std::string_view code) {
    static const Words questions = {"exists",
                                    "is_directory",
                                    "is_regular_file",
                                    "is_symlink",
                                    "is_other",
                                    "status",
                                    "symlink_status",
                                    "file_size",
                                    "absolute",
                                    "canonical",
                                    "weakly_canonical",
                                    "relative",
                                    "proximate",
                                    "equivalent",
                                    "read_symlink",
                                    "last_write_time",
                                    "directory_iterator",
                                    "recursive_directory_iterator",
                                    "directory_entry",
                                    "space",
                                    "current_path",
                                    "temp_directory_path",
                                    "permissions",
                                    "hard_link_count"};
    return behind_filesystem_name(code, questions).has_value();
  };
  const auto found = lines_with(
      asks, {"src/striate/base/paths.cpp", "src/striate/base/output_path.cpp", "src/striate/base/output_file.cpp",
             "src/striate/base/atomic_folder.cpp", "src/striate/base/process_lock.cpp"});
  EXPECT_TRUE(found.empty()) << "ask with base/paths.h:\n" << join(found, "\n");
}

TEST(Sources, NoFunctionOfFilesystemThrows) {
  // Each takes a std::error_code last, or a file_status that is known.
  const auto may_throw = [](std::string_view code) {
    static const Words functions = {
        "is_empty", "remove",       "remove_all",      "resize_file",      "create_symlink",   "create_hard_link",
        "exists",   "is_directory", "is_regular_file", "status",           "symlink_status",   "file_size",
        "space",    "permissions",  "absolute",        "weakly_canonical", "create_directory", "create_directories",
        "rename"};
    const auto behind = behind_filesystem_name(code, functions);
    if (!behind || !behind->starts_with("(")) return false;
    const Words last = {"ignored)", "failed)", "error)", "unknown)", "absent)", "status)"};
    return std::none_of(last.begin(), last.end(), [&](auto word) { return behind->find(word) != behind->npos; });
  };
  const auto found = lines_with(may_throw, {});
  EXPECT_TRUE(found.empty()) << "give it a std::error_code:\n" << join(found, "\n");
}

// Whether a line says "--name", in quotes or in a comment.
bool says_a_flag(std::string_view line) {
  for (std::size_t at = line.find("--"); at != line.npos; at = line.find("--", at + 1)) {
    const std::string_view before = line.substr(0, at);
    if (before.ends_with("var(")) continue;  // CSS
    const bool said = before.find("//") != before.npos || std::count(before.begin(), before.end(), '"') % 2 == 1;
    if (said && at + 2 < line.size() && line[at + 2] >= 'a' && line[at + 2] <= 'z') return true;
  }
  return false;
}

TEST(Sources, TheLibraryNamesSettingsAndNoFlags) {
  EXPECT_TRUE(says_a_flag(R"(throw x("give --data FILE"))"));
  EXPECT_TRUE(says_a_flag("go();  // as --data says"));
  EXPECT_FALSE(says_a_flag(R"(cat("a", --count, "b"))"));
  EXPECT_FALSE(says_a_flag("\"color: var(--ink)\""));
  std::vector<std::string> found;
  const fs::path library = test::sources() / "src/striate";
  for (const auto& entry : fs::recursive_directory_iterator(library)) {
    const std::string name = fs::relative(entry.path(), library).string();
    if (!is_source(name) || name.starts_with("report/")) continue;  // CSS has names of that form
    int number = 0;
    for (const std::string& line : split(read_file(entry.path()), '\n')) {
      ++number;
      if (says_a_flag(line)) found.push_back(cat(name, ":", number, ": ", std::string(trim(line))));
    }
  }
  EXPECT_TRUE(found.empty()) << "name the setting (base/setting.h):\n" << join(found, "\n");
}

TEST(Sources, TheLibraryPrintsNothing) {
  const auto prints = [](std::string_view code) {
    return has_word(code, {"cout", "cerr", "clog"}) ||
           has_call(code, {"printf", "fprintf", "puts", "log_info", "log_warn"});
  };
  const auto found = lines_with(
      prints, {"src/striate/base/log.cpp", "src/striate/base/log.h", "src/striate/base/progress.cpp"}, {"src/striate"});
  EXPECT_TRUE(found.empty()) << "hand it to base/notes.h:\n" << join(found, "\n");
}

TEST(Sources, TheLibraryLeavesSignalsAlone) {
  const auto handles = [](std::string_view code) { return has_call(code, {"signal", "sigaction"}); };
  const auto found = lines_with(handles, {"src/striate/base/mapped_files.cpp"}, {"src/striate"});
  EXPECT_TRUE(found.empty()) << "the program owns them:\n" << join(found, "\n");
}

TEST(Sources, ErrorsOfLibTorchAreTranslatedInOnePlace) {
  const auto catches = [](std::string_view code) {
    for (std::size_t at = find_word(code, "c10"); at != code.npos; at = find_word(code, "c10", at + 1)) {
      std::size_t end = at + 3;
      while (end < code.size() && (in_name(code[end]) || code[end] == ':')) ++end;
      if (code.substr(at, end - at).ends_with("Error")) return true;
    }
    return false;
  };
  const auto found = lines_with(catches, {"src/striate/tensor/torch_errors.cpp"});
  EXPECT_TRUE(found.empty()) << "ask tensor/torch_errors.h:\n" << join(found, "\n");
}

TEST(Sources, JsonIsReadWithinBounds) {
  const auto parses = [](std::string_view code) {
    return code.find("son::parse(") != code.npos || code.find("son::sax_parse(") != code.npos;
  };
  const auto found = lines_with(parses, {"src/striate/base/json_file.cpp", "src/striate/files/safetensors_header.cpp"});
  EXPECT_TRUE(found.empty()) << "read it with base/json_file.h:\n" << join(found, "\n");
}

}  // namespace
}  // namespace striate
