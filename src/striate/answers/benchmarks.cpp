#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "striate/answers/benchmark.h"
#include "striate/answers/benchmarks/all.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

template <typename Item>
const Item& find_named(const std::vector<Item>& items, std::string_view name, const std::string& what,
                       const std::string& hint) {
  const auto found = std::ranges::find(items, name, &Item::name);
  if (found != items.end()) return *found;
  std::vector<std::string> names;
  for (const Item& item : items) names.push_back(item.name);
  const std::string near = nearest_name(name, names);
  throw invalid_input(cat("there is no ", what, " '", std::string(name), "'", hint),
                      near.empty() ? cat("one of ", join(names, ", ")) : cat("did you mean ", near, "?"));
}

// Whole groups of the questions `asked`, until there are at least `most`.
std::vector<std::size_t> first_groups(const QuestionSet& set, std::vector<std::size_t> asked, std::size_t most) {
  std::map<std::string, std::size_t> sizes;
  for (const std::size_t place : asked) ++sizes[set.questions[place].group];
  std::set<std::string> taken;
  std::size_t count = 0;
  for (const std::size_t place : asked) {
    if (count >= most) break;
    const std::string& group = set.questions[place].group;
    if (taken.insert(group).second) count += sizes[group];
  }
  std::erase_if(asked, [&](std::size_t place) { return !taken.contains(set.questions[place].group); });
  return asked;
}

std::string bad_rows_note(const std::vector<SkippedRow>& rows) {
  return cat(rows.size(), rows.size() == 1 ? " malformed row was" : " malformed rows were",
             " left out; the first: ", rows.front().reason);
}

}  // namespace

const std::vector<Benchmark>& benchmarks() {
  static const std::vector<Benchmark> all = [] {
    std::vector<Benchmark> list = {
        bbh_benchmark(),   ceval_benchmark(),     cmmlu_benchmark(),      docvqa_benchmark(),
        gqa_benchmark(),   gsm8k_benchmark(),     llava_json_benchmark(), mmbench_benchmark(),
        mini_benchmark(),  mini_text_benchmark(), mini_words_benchmark(), mme_benchmark(),
        mmlu_benchmark(),  mmmu_benchmark(),      ocrvqa_benchmark(),     perplexity_benchmark(),
        pope_benchmark(),  refcoco_benchmark(),   scienceqa_benchmark(),  seed_benchmark(),
        tdiuc_benchmark(), textvqa_benchmark(),   vqav2_benchmark()};
    std::ranges::sort(list, {}, &Benchmark::name);
    return list;
  }();
  return all;
}

const Benchmark& find_benchmark(std::string_view name) {
  return find_named(benchmarks(), name, "benchmark", "");
}

const Protocol& find_protocol(const Benchmark& benchmark, std::string_view name) {
  return find_named(benchmark.protocols, name, "protocol", cat(" of the benchmark ", benchmark.name));
}

std::vector<std::size_t> questions_to_ask(const Benchmark& benchmark, const Protocol& protocol, const QuestionSet& set,
                                          std::int64_t limit) {
  std::vector<std::size_t> asked;
  for (std::size_t i = 0; i < set.questions.size(); ++i) {
    if (!protocol.asks || protocol.asks(set.questions[i])) asked.push_back(i);
  }
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(limit, 0));
  if (most == 0 || asked.size() <= most) return asked;
  if (benchmark.scores_groups) return first_groups(set, std::move(asked), most);
  asked.resize(most);
  return asked;
}

std::vector<std::string> shown_pictures(const Protocol& protocol, const Question& question) {
  return protocol.pictures ? protocol.pictures(question) : question.pictures;
}

QuestionSet read_questions(const Benchmark& benchmark, const std::filesystem::path& data, OnBadRow on_bad_row) {
  const DataFolder folder(data, benchmark.name, on_bad_row);
  QuestionSet set = benchmark.read(folder);
  set.bad_rows = folder.bad_rows().skipped();
  const std::string left_out = set.bad_rows.empty() ? "" : bad_rows_note(set.bad_rows);
  if (set.questions.empty()) {
    throw corrupt_data(cat(data.string(), ": there is no question of the benchmark ", benchmark.name,
                           left_out.empty() ? "" : "; ", left_out),
                       "docs/benchmarks.md says which files it needs");
  }
  if (!left_out.empty()) set.notes.push_back(left_out);
  std::map<std::string, std::size_t> count, seen;
  for (const Question& question : set.questions) ++count[question.publisher_id];
  for (Question& question : set.questions) {
    const std::string& id = question.publisher_id;
    question.id = count[id] == 1 ? id : cat(id, "#", ++seen[id]);
  }
  return set;
}

}  // namespace striate
