#include "striate/study/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/report/html.h"
#include "striate/report/plain_table.h"
#include "striate/report/report_page.h"
#include "striate/study/report_sections.h"
#include "striate/study/results_file.h"

namespace striate::study {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// What is computed of one setting, once for the page and the tables.
struct StudiedSetting {
  StudyGroups groups;
  std::vector<Claim> claims;
  std::string summary;
};

std::vector<StudiedSetting> studied_settings(const StudyResults& results, const Statistics& statistics) {
  std::vector<StudiedSetting> out;
  for (const StudySetting& setting : settings_of(results)) {
    StudyGroups groups(results, setting);
    std::vector<Claim> claims = claims_of(statistics, groups);
    std::string summary = summary_sentence(results, statistics, groups);
    out.push_back({std::move(groups), std::move(claims), std::move(summary)});
  }
  return out;
}

std::string summaries(const std::vector<StudiedSetting>& settings, const StudyResults& results) {
  if (settings.empty()) return cat("The study ", results.name, " has measured nothing yet.");
  std::vector<std::string> out;
  for (const StudiedSetting& setting : settings) out.push_back(setting.summary);
  return join(out, " ");
}

// A section with what it shows, for the list of what was not measured.
struct NamedSection {
  const char* name;
  std::string html;
};

std::vector<NamedSection> sections_of(const StudyView& view, const std::vector<Claim>& claims, const fs::path& folder) {
  return {{"claims", claims_html(claims)},
          {"strategies", strategies_html(view)},
          {"gain against forgetting", plane_html(view)},
          {"regions", regions_html(view)},
          {"numbers of layers", sizes_html(view)},
          {"shares of the data", data_html(view)},
          {"offsets and kinds of linears", grid_html(view)},
          {"reversion", reversion_html(view)},
          {"pruning", pruning_html(view)},
          {"healing", healing_html(view)},
          {"scores of layers", layer_scores_html(view)},
          {"losses", training_html(view)},
          {"time and memory", cost_html(view)},
          {"examples", examples_html(view, folder)}};
}

std::string setting_html(const StudyResults& results, const Statistics& statistics, const StudiedSetting& setting,
                         const fs::path& folder, bool several) {
  const StudySetting& s = setting.groups.setting();
  std::string html;
  if (several)
    html +=
        cat("<h2 class=\"setting\">", html_escape(s.data.empty() ? s.model : cat(s.model, " on ", s.data)), "</h2>\n");
  html += cat("<p class=\"lead\">", html_escape(setting.summary), "</p>\n");
  std::vector<std::string> missing;
  for (const NamedSection& section : sections_of({results, statistics, setting.groups}, setting.claims, folder)) {
    if (section.html.empty()) missing.emplace_back(section.name);
    html += section.html;
  }
  const bool open = results.finished + static_cast<std::int64_t>(results.failed.size()) < results.cells;
  if (!missing.empty()) {
    html += cat("<p class=\"quiet\">",
                open ? "Not measured yet, or no part of this study: " : "Not part of this study: ", join(missing, ", "),
                ".</p>\n");
  }
  return html;
}

std::string failures_html(const StudyResults& results) {
  if (results.failed.empty()) return "";
  PlainTable table{.name = "Failed cells", .columns = {{"cell"}, {"reason"}}};
  for (const FailedCell& failed : results.failed) table.rows.push_back({failed.cell, failed.reason});
  return cat("<section>\n<h2>Failed cells</h2>\n", plain_table_html(table), "</section>\n");
}

std::vector<std::pair<std::string, std::string>> study_facts(const StudyResults& results,
                                                             const Resampling& resampling) {
  std::vector<std::pair<std::string, std::string>> facts = {
      {"cells", cat(results.finished, " of ", results.cells, " finished")}};
  for (const StudiedLvlm& lvlm : results.lvlms) {
    facts.emplace_back("model", cat(lvlm.name, ", ", lvlm.layers, " layers, ",
                                    human_count(static_cast<std::uint64_t>(lvlm.parameters)), " parameters"));
  }
  for (const Sense sense : {Sense::kVisual, Sense::kText}) {
    std::vector<std::string> names;
    for (const StudiedBenchmark& benchmark : results.benchmarks) {
      if (benchmark.sense == sense) names.push_back(cat(benchmark.name, " (", benchmark.questions.size(), ")"));
    }
    if (!names.empty()) facts.emplace_back(cat(name(sense), " benchmarks (questions)"), join(names, ", "));
  }
  facts.emplace_back("models measured", std::to_string(results.models.size()));
  facts.emplace_back("intervals", cat("the middle 95% of ", resampling.draws,
                                      " draws of the questions and seeds, seed ", resampling.seed));
  if (!results.machine.empty()) facts.emplace_back("machine", results.machine);
  if (!results.version.empty()) facts.emplace_back("striate", results.version);
  facts.insert(facts.end(), results.notes.begin(), results.notes.end());
  return facts;
}

std::vector<std::string> study_warnings(const StudyResults& results) {
  std::vector<std::string> out = results.warnings;
  const auto failed = static_cast<std::int64_t>(results.failed.size());
  if (failed > 0)
    out.push_back(cat(counted(failed, "cell"), " failed; what would have been measured there is missing here"));
  const std::int64_t open = results.cells - results.finished - failed;
  if (open > 0)
    out.push_back(cat(open, open == 1 ? " cell is" : " cells are", " not finished yet; run the study again to go on"));
  return out;
}

std::string page_html(const StudyResults& results, const Statistics& statistics,
                      const std::vector<StudiedSetting>& settings, const fs::path& folder) {
  ReportPage page{.title = cat("Study: ", results.name),
                  .subtitle = results.description,
                  .facts = study_facts(results, statistics.resampling()),
                  .warnings = study_warnings(results),
                  .style = kStudyStyle};
  if (settings.empty()) page.sections.push_back("<p class=\"lead\">Nothing has been measured yet.</p>\n");
  for (const StudiedSetting& setting : settings)
    page.sections.push_back(setting_html(results, statistics, setting, folder, settings.size() > 1));
  page.sections.push_back(failures_html(results));
  return report_page(page);
}

// Every table of every setting; with several settings their number is part of the name.
std::vector<ResultTable> all_tables(const StudyResults& results, const Statistics& statistics,
                                    const std::vector<StudiedSetting>& settings) {
  std::vector<ResultTable> out;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const StudySetting& s = settings[i].groups.setting();
    for (ResultTable& table : tables_of({results, statistics, settings[i].groups}, settings[i].claims)) {
      if (settings.size() > 1) table.name += cat("-", i + 1);
      table.title += cat(" (", s.model, s.data.empty() ? "" : " on " + s.data, ")");
      out.push_back(std::move(table));
    }
  }
  return out;
}

constexpr const char* kTableList = "tables/index.json";  // the tables beside it: {"strategies": "Strategies (mini)"}

std::vector<fs::path> table_files(const std::string& name) {
  return {fs::path("tables") / (name + ".csv"), fs::path("tables") / (name + ".tex")};
}

// Removes the tables of an earlier report in `folder` that the study no longer has. Other files are the user's: only
// names in that report's own list are removed.
void remove_old_tables(const fs::path& folder, const json& tables) {
  const fs::path list = folder / kTableList;
  if (!is_file(list)) return;
  const std::optional<json> before = try_parse_json(read_file(list));
  if (!before || !before->is_object()) return;
  for (const auto& [name, title] : before->items()) {
    if (tables.contains(name) || name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
      continue;
    for (const fs::path& file : table_files(name)) {
      std::error_code absent;
      fs::remove(OutputPath::inside(folder, file).path(), absent);
    }
  }
}

void check_fits(const StudyResults& results) {
  if (const std::string fault = fault_of(results); !fault.empty())
    throw internal_error(cat("a study's results: ", fault));
}

}  // namespace

ReportFiles write_report(const StudyResults& results, const fs::path& folder, const Resampling& resampling) {
  check_fits(results);
  const Statistics statistics(results, resampling);
  const std::vector<StudiedSetting> settings = studied_settings(results, statistics);
  ReportFiles files{.report = folder / "report.html",
                    .results = folder / "results.json",
                    .tables = {},
                    .summary = summaries(settings, results)};
  const auto write = [&](const fs::path& name, const std::string& text) {
    write_file(OutputPath::inside(folder, name), text);
  };
  write("results.json", results_text(results));
  json tables = json::object();
  for (const ResultTable& table : all_tables(results, statistics, settings)) {
    tables[table.name] = table.title;
    for (const fs::path& file : table_files(table.name)) {
      write(file, file.extension() == ".csv" ? csv_text(table) : latex_text(table));
      files.tables.push_back(folder / file);
    }
  }
  remove_old_tables(folder, tables);
  write(kTableList, json_text(tables, 1) + "\n");
  write("summary.txt", files.summary + "\n");
  write("report.html", page_html(results, statistics, settings, folder));
  return files;
}

std::string report_html(const StudyResults& results, const fs::path& folder, const Resampling& resampling) {
  check_fits(results);
  const Statistics statistics(results, resampling);
  return page_html(results, statistics, studied_settings(results, statistics), folder);
}

std::string study_summary(const StudyResults& results, const Resampling& resampling) {
  const Statistics statistics(results, resampling);
  return summaries(studied_settings(results, statistics), results);
}

}  // namespace striate::study
