// What test_tables.py runs to see a file's rows as Striate reads them: a line of JSON for each row, and behind them one
// for each picture, {"picture": NAME, "base64": ...}, asked for from several threads.
#include <atomic>
#include <iostream>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "striate/base/base64.h"
#include "striate/base/error.h"
#include "striate/tables/rows.h"

namespace {

using nlohmann::json;

void collect(const json& value, const striate::PictureSource& pictures, std::set<std::string>& names) {
  if (value.is_string() && pictures.has(value.get<std::string>())) names.insert(value.get<std::string>());
  if (!value.is_structured()) return;
  for (const json& part : value) collect(part, pictures, names);
}

void print_pictures(const striate::PictureSource& source, const std::set<std::string>& set) {
  const std::vector<std::string> names(set.begin(), set.end());
  std::vector<json> lines(names.size());
  std::atomic<std::size_t> next = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (std::size_t at = next++; at < names.size(); at = next++) {
        try {
          lines[at] = {{"picture", names[at]}, {"base64", striate::base64_of(source.bytes(names[at]).value())}};
        } catch (const striate::Error& error) {
          lines[at] = {{"picture", names[at]}, {"error", error.what()}};
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const json& line : lines) std::cout << line.dump() << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: rows_probe FILE\n";
    return 2;
  }
  try {
    const auto reader = striate::open_rows(argv[1]);
    const auto pictures = reader->pictures();
    std::set<std::string> names;
    while (const auto row = reader->next()) {
      std::cout << row->fields.dump() << '\n';
      if (pictures) collect(row->fields, *pictures, names);
    }
    if (pictures) print_pictures(*pictures, names);
  } catch (const striate::Error& error) {
    std::cerr << "error: " << error.what() << "\nhint: " << error.hint() << '\n';
    return error.exit_code();
  }
}
