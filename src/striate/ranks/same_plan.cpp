#include "striate/ranks/same_plan.h"

#include <set>
#include <string>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

std::string shown(const nlohmann::json& plan, const std::string& field) {
  if (!plan.contains(field)) return "absent";
  const nlohmann::json& value = plan.at(field);
  return value.is_string() ? value.get<std::string>() : json_text(value);
}

}  // namespace

void check_same_plan(const nlohmann::json& plan, RankExchange& ranks) {
  const std::vector<std::string> texts = ranks.all(json_text(plan), {});
  const nlohmann::json first = parse_json(texts.at(0), "the plan of rank 0");
  for (std::size_t rank = 1; rank < texts.size(); ++rank) {
    if (texts[rank] == texts[0]) continue;
    const nlohmann::json other = parse_json(texts[rank], cat("the plan of rank ", rank));
    std::set<std::string> fields;
    for (const auto& entry : first.items()) fields.insert(entry.key());
    for (const auto& entry : other.items()) fields.insert(entry.key());
    for (const std::string& field : fields) {
      const std::string here = shown(other, field);
      const std::string there = shown(first, field);
      if (here == there) continue;
      throw invalid_input(cat("rank ", rank, " has another plan than rank 0: ", field, " is ", here, " there and ",
                              there, " on rank 0"),
                          "start every rank with the same program, the same command and the same files");
    }
  }
}

}  // namespace striate
