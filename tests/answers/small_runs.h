// Runs over questions of one's own: files that comparisons and pages are made of.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "striate/answers/compare.h"
#include "striate/base/strings.h"
#include "tests/support/paths.h"

namespace striate::test {

// Questions "1", "2", ... of llava-json, of the categories "odd" and "even", each with the picture "N.png" and the
// right answer "yes"; and a text for the benchmark perplexity.
class SmallRuns {
 public:
  explicit SmallRuns(int questions) : questions_(questions) {
    nlohmann::json samples = nlohmann::json::array();
    for (int i = 1; i <= questions; ++i) {
      samples.push_back(
          {{"id", std::to_string(i)},
           {"image", cat(i, ".png")},
           {"category", i % 2 == 1 ? "odd" : "even"},
           {"conversations",
            {{{"from", "human"}, {"value", cat("<image>\nIs it ", i, "?")}}, {{"from", "gpt"}, {"value", "yes"}}}}});
    }
    put("mine.json", samples.dump());
    put("text/a.txt", "abcd");
  }

  std::filesystem::path path(const std::string& name = {}) const { return folder_.path() / name; }

  std::filesystem::path put(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(path(name).parent_path());
    write_file(path(name), text);
    return path(name);
  }

  // A run of `model` that answered `texts` to the first questions and "yes" to the others, and whose log-probability of
  // the text is `text` nats.
  std::filesystem::path run(const std::string& name, const std::vector<std::string>& texts, double text = -4,
                            bool without_pictures = false, const std::string& model = "m") const {
    std::string lines;
    for (int i = 1; i <= questions_; ++i) {
      const auto place = static_cast<std::size_t>(i - 1);
      const nlohmann::json line = {{"question_id", std::to_string(i)},
                                   {"text", place < texts.size() ? texts[place] : "yes"}};
      lines += line.dump() + "\n";
    }
    put(cat(name, "/llava-json/answers.jsonl"), lines);
    const nlohmann::json rolling = {{"question_id", "a.txt"}, {"text", ""}, {"choices", {text}}};
    put(cat(name, "/perplexity/answers.jsonl"), rolling.dump() + "\n");
    const nlohmann::json record = {
        {"model", model},
        {"benchmarks",
         {{{"name", "llava-json"},
           {"data", path("mine.json").string()},
           {"protocol", "exact"},
           {"pictures", path("pictures").string()},
           {"without_pictures", without_pictures}},
          {{"name", "perplexity"}, {"data", path("text").string()}, {"protocol", "lm-eval"}}}}};
    put(cat(name, "/run.json"), record.dump());
    return path(name);
  }

 private:
  int questions_;
  TemporaryFolder folder_;
};

// "no" so many times.
inline std::vector<std::string> wrong(std::size_t count) {
  return std::vector<std::string>(count, "no");
}

inline std::vector<const PartComparison*> pointers(const std::vector<PartComparison>& parts) {
  std::vector<const PartComparison*> all;
  for (const PartComparison& part : parts) all.push_back(&part);
  return all;
}

}  // namespace striate::test
