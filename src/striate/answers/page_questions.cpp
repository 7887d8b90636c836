// The questions of a run's page: which of them are shown, and what of each.
#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_map>

#include "striate/answers/answer.h"
#include "striate/answers/page_marks.h"
#include "striate/answers/page_parts.h"
#include "striate/answers/python_text.h"
#include "striate/base/strings.h"
#include "striate/report/html.h"
#include "striate/report/numbers.h"
#include "striate/report/picture_uri.h"

namespace striate {
namespace {

constexpr std::size_t kMostText = 4000;   // bytes of an answer or a question that are shown
constexpr std::size_t kMostParsed = 120;  // of what a rule read in it

// What every column says about the questions of the first one.
class ColumnItems {
 public:
  explicit ColumnItems(const PagePart& part) : part_(part), of_column_(part.columns.size()) {
    for (std::size_t i = 0; i < part.columns.size(); ++i) {
      for (const Scored& item : part.columns[i].score->items) of_column_[i][item.question] = &item;
    }
  }

  std::vector<const Scored*> of(std::size_t place) const {
    const Question* question = part_.columns[0].score->items[place].question;
    std::vector<const Scored*> items;
    for (const auto& column : of_column_) {
      const auto found = column.find(question);
      items.push_back(found == column.end() ? nullptr : found->second);
    }
    return items;
  }

 private:
  const PagePart& part_;
  std::vector<std::unordered_map<const Question*, const Scored*>> of_column_;
};

// 0: changed, 1: wrong somewhere, 2: the others.
int page_rank(const std::vector<std::string>& marks) {
  const auto has_mark = [&](const char* mark) { return std::ranges::find(marks, mark) != marks.end(); };
  if (has_mark("changed")) return 0;
  return has_mark("right") ? 2 : 1;
}

// The text without half a character at its end.
std::string shown_text(const std::string& text, std::size_t most = kMostText) {
  if (text.size() <= most) return html_escape(text);
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return cat(html_escape(text.substr(0, end)), " <i class=\"quiet\">(", text.size() - end, " more bytes)</i>");
}

std::string references_html(const Question& question) {
  if (question.box) {
    std::vector<std::string> sides;
    for (const double side : *question.box) sides.push_back(formatted(side, "%.3f"));
    return cat("[", join(sides, ", "), "]");
  }
  std::vector<std::pair<std::string, int>> counted;
  for (const std::string& reference : question.references) {
    const auto found = std::ranges::find(counted, reference, &std::pair<std::string, int>::first);
    if (found == counted.end()) {
      counted.emplace_back(reference, 1);
    } else {
      ++found->second;
    }
  }
  std::ranges::stable_sort(counted, std::greater(), &std::pair<std::string, int>::second);
  std::vector<std::string> texts;
  texts.reserve(counted.size());
  for (const auto& [reference, count] : counted) {
    texts.push_back(
        cat(shown_text(reference), count > 1 ? cat(" <span class=\"quiet\">&times;", count, "</span>") : ""));
  }
  return join(texts, ", ");
}

std::string options_html(const Question& question) {
  std::string html;
  for (std::size_t i = 0; i < question.options.size(); ++i) {
    const std::string letter(1, static_cast<char>('A' + std::min<std::size_t>(i, 25)));
    const bool right = std::ranges::find(question.references, letter) != question.references.end();
    html +=
        cat("<li", right ? " class=\"right\"" : "", "><b>", letter, ".</b> ", shown_text(question.options[i]), "</li>");
  }
  return html.empty() ? "" : cat("<ul class=\"options\">", html, "</ul>\n");
}

// The raw answer; of likelihood tasks, what each choice was worth.
std::string answer_html(const Scored* item) {
  if (item == nullptr || !item->answered) return "";
  if (item->answer == nullptr || !item->answer->choices.empty()) {
    std::string html = cat("<b>", html_escape(item->judgement.parsed), "</b>");
    for (std::size_t i = 0; item->answer != nullptr && i < item->answer->choices.size() && i < 26; ++i) {
      html += cat(" <span class=\"quiet\">", static_cast<char>('A' + i), " ",
                  formatted(item->answer->choices[i], "%.3f"), "</span>");
    }
    return html;
  }
  if (python::strip(item->answer->text).empty()) return "<i class=\"quiet\">(empty)</i>";
  return cat(shown_text(item->answer->text),
             item->answer->stop == AnswerEnding::kLength ? " <i class=\"quiet\">(cut at the most tokens)</i>" : "");
}

// What the rule read, where it is not what was written.
std::string parsed_html(const Scored* item) {
  if (item == nullptr || item->answer == nullptr || !item->answer->choices.empty()) return "";
  const std::string& parsed = item->judgement.parsed;
  if (parsed.empty() || parsed == python::strip(item->answer->text)) return "";
  return cat(" <span class=\"quiet\">read as</span> ", shown_text(parsed, kMostParsed));
}

std::string verdict_html(const Scored* item) {
  const std::string text = verdict_text(item);
  const char* kind = text == "right" ? "right" : (text.starts_with("0.") ? "partly" : "wrong");
  return cat("<span class=\"verdict ", kind, "\">", text, "</span>");
}

// A row for each run: its verdict and its answer.
std::string run_rows(const PagePart& part, const std::vector<const Scored*>& items) {
  std::string html;
  for (std::size_t i = 0; i < items.size(); ++i) {
    html += cat("<dt>", html_escape(part.columns[i].name), "</dt><dd>", verdict_html(items[i]),
                " <span class=\"text\">", answer_html(items[i]), "</span>", parsed_html(items[i]), "</dd>\n");
  }
  return html;
}

// The answer once, and each protocol's verdict; again where a protocol has an answer of its own.
std::string protocol_rows(const PagePart& part, const std::vector<const Scored*>& items) {
  std::string html, verdicts, shown;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string answer = answer_html(items[i]);
    if (!answer.empty() && answer != shown) {
      html += cat("<dt>answer</dt><dd><span class=\"text\">", answer, "</span></dd>\n");
      shown = answer;
    }
    verdicts += cat("<span class=\"by\">", html_escape(part.columns[i].name), " ", verdict_html(items[i]),
                    parsed_html(items[i]), "</span> ");
  }
  return cat(html, "<dt>judged</dt><dd>", verdicts, "</dd>\n");
}

// The protocol that an answer was made by; where that is not known, as in files of other programs, the column's own.
const Protocol& asking_protocol(const PagePart& part, const PageColumn& column, const Scored* item) {
  if (item != nullptr && item->answer != nullptr && !item->answer->asking.empty()) {
    const auto found = std::ranges::find(part.benchmark->protocols, item->answer->asking, &Protocol::asking);
    if (found != part.benchmark->protocols.end()) return *found;
  }
  return *column.score->protocol;
}

// Of a question's pictures those that it was asked with in any column.
std::vector<std::string> asked_pictures(const PagePart& part, const std::vector<const Scored*>& items) {
  const Question& question = *items[0]->question;
  std::set<std::string> asked;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::vector<std::string> shown = shown_pictures(asking_protocol(part, part.columns[i], items[i]), question);
    asked.insert(shown.begin(), shown.end());
  }
  std::vector<std::string> pictures = question.pictures;
  std::erase_if(pictures, [&](const std::string& name) { return !asked.contains(name); });
  return pictures;
}

std::string pictures_html(const PagePart& part, const std::vector<std::string>& names, PageQuestions& out,
                          std::uint64_t most) {
  std::string html;
  if (!part.picture) return html;
  for (const std::string& name : names) {
    const std::optional<std::string> bytes = part.picture(name);
    const std::string uri = bytes ? picture_uri(*bytes) : "";
    const std::uint64_t size = bytes ? (bytes->size() + 2) / 3 * 4 : 0;
    if (uri.empty() || out.picture_bytes + size > most) {
      ++out.pictures_left_out;
      html += cat("<p class=\"quiet no-picture\">", html_escape(name), "</p>");
      continue;
    }
    out.picture_bytes += size;
    html += cat("<img loading=\"lazy\" alt=\"", html_escape(name), "\" title=\"", html_escape(name), "\" src=\"", uri,
                "\">");
  }
  return html.empty() ? "" : cat("<div class=\"pictures\">", html, "</div>\n");
}

// "better", "worse", "judged differently", and the question's kinds.
std::string tags_html(const Question& question, const KindMarks& kinds, const std::vector<std::string>& marks,
                      bool compared) {
  std::string html;
  for (const auto& [mark, words] :
       {std::pair("better", "better"), {"worse", "worse"}, {"changed", compared ? "" : "judged differently"}}) {
    if (*words == '\0' || std::ranges::find(marks, mark) == marks.end()) continue;
    html += cat("<span class=\"tag ", mark, "\">", words, "</span>");
  }
  for (const auto& [kind, values] : kinds.kinds()) {
    const auto found = question.kinds.find(kind);
    if (found == question.kinds.end()) continue;
    for (const std::string& value : found->second) {
      html += cat("<span class=\"tag\" title=\"", html_escape(kind), "\">", html_escape(value), "</span>");
    }
  }
  return html;
}

std::string card_html(const PagePart& part, const std::vector<const Scored*>& items, const KindMarks& kinds,
                      PageQuestions& out, std::uint64_t most) {
  const Question& question = *items[0]->question;
  const bool compared = part.comparison != nullptr;
  std::vector<std::string> marks = marks_of(items, compared);
  const std::string tags = tags_html(question, kinds, marks, compared);
  for (std::string& mark : kinds.of(question)) marks.push_back(std::move(mark));
  std::string html = cat("<article data-marks=\"", join(marks, " "), "\">\n",
                         pictures_html(part, asked_pictures(part, items), out, most),
                         "<div class=\"said\"><p class=\"id\"><b>", html_escape(question.id), "</b> ", tags, "</p>\n");
  if (!question.hint.empty()) html += cat("<p class=\"text quiet\">", shown_text(question.hint), "</p>\n");
  html += cat("<p class=\"text asked\">", shown_text(question.text), "</p>\n", options_html(question), "<dl>");
  const std::string references = references_html(question);
  if (!references.empty()) html += cat("<dt>reference</dt><dd><span class=\"text\">", references, "</span></dd>\n");
  return cat(html, compared ? run_rows(part, items) : protocol_rows(part, items), "</dl></div></article>\n");
}

std::string select_html(const std::string& label, const std::vector<PageMark>& marks) {
  std::string html = cat("<label>", html_escape(label), " <select><option value=\"\">all</option>");
  for (const PageMark& mark : marks) {
    html += cat("<option value=\"", mark.id, "\">", html_escape(mark.words), "</option>");
  }
  return cat(html, "</select></label>\n");
}

std::string filters_html(const PagePart& part, const KindMarks& kinds,
                         const std::vector<std::vector<std::string>>& marks) {
  std::vector<PageMark> present;
  for (PageMark& mark : answer_marks(part.comparison != nullptr, part.columns.size() > 1)) {
    const auto count = std::ranges::count_if(
        marks, [&](const auto& of_one) { return std::ranges::find(of_one, mark.id) != of_one.end(); });
    if (count > 0) present.push_back({mark.id, cat(mark.words, " (", count, ")")});
  }
  std::string html = select_html("answers", present);
  for (const auto& [kind, values] : kinds.kinds()) html += select_html(kind, values);
  return cat("<form class=\"filters\" hidden>", html, "<output></output></form>\n");
}

}  // namespace

std::vector<std::vector<std::size_t>> page_choice(const RunPage& page) {
  // Rank, place among those of its part and rank, part, index: parts take turns within a rank.
  std::vector<std::tuple<int, std::size_t, std::size_t, std::size_t>> all;
  for (std::size_t number = 0; number < page.parts.size(); ++number) {
    const PagePart& part = page.parts[number];
    if (part.columns[0].score->protocol->kind == AnswerKind::kRolling) continue;  // whole documents
    const ColumnItems items(part);
    std::size_t counts[3] = {};
    for (std::size_t i = 0; i < part.columns[0].score->items.size(); ++i) {
      const int rank = page_rank(marks_of(items.of(i), part.comparison != nullptr));
      all.emplace_back(rank, counts[rank]++, number, i);
    }
  }
  std::ranges::sort(all);
  std::vector<std::vector<std::size_t>> chosen(page.parts.size());
  for (std::size_t i = 0; i < all.size() && i < static_cast<std::size_t>(page.questions); ++i) {
    chosen[std::get<2>(all[i])].push_back(std::get<3>(all[i]));
  }
  return chosen;
}

PageQuestions page_questions_html(const PagePart& part, const std::vector<std::size_t>& chosen,
                                  std::uint64_t picture_bytes) {
  PageQuestions out;
  if (chosen.empty()) return out;
  const ColumnItems items(part);
  std::vector<const Question*> questions;
  std::vector<std::vector<std::string>> marks;
  for (const std::size_t place : chosen) {
    questions.push_back(part.columns[0].score->items[place].question);
    marks.push_back(marks_of(items.of(place), part.comparison != nullptr));
  }
  const KindMarks kinds(*part.benchmark, questions);
  std::string cards;
  for (const std::size_t place : chosen) cards += card_html(part, items.of(place), kinds, out, picture_bytes);
  const std::size_t all = part.columns[0].score->items.size();
  out.html =
      cat("<section class=\"questions\"><h3>Questions of ", html_escape(part.benchmark->name),
          "</h3>\n<p class=\"quiet\">", chosen.size(), " of ", all, " questions, ",
          part.comparison != nullptr ? "those that changed first, then those that a run got wrong"
          : part.columns.size() > 1 ? "those that the protocols judge differently first, then those with a wrong answer"
                                    : "those with a wrong answer first",
          out.pictures_left_out > 0 ? cat("; ", out.pictures_left_out, " pictures are left out") : "", "</p>\n",
          filters_html(part, kinds, marks), cards, "</section>\n");
  return out;
}

}  // namespace striate
