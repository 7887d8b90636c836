#include "striate/report/example_card.h"

#include "striate/base/strings.h"
#include "striate/report/html.h"
#include "striate/report/numbers.h"

namespace striate {
namespace {

constexpr std::size_t kMostOfText = 1000;

// The text without half a character at its end.
std::string beginning(const std::string& text) {
  if (text.size() <= kMostOfText) return html_escape(text);
  std::size_t end = kMostOfText;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return cat(html_escape(text.substr(0, end)), " <i class=\"quiet\">(", text.size() - end, " more bytes)</i>");
}

std::string verdict(double score) {
  if (score >= 1) return "<span class=\"verdict right\">right</span>";
  if (score <= 0) return "<span class=\"verdict wrong\">wrong</span>";
  return cat("<span class=\"verdict partly\">", formatted(score, "%.2f"), "</span>");
}

}  // namespace

std::string example_card_html(const ExampleCard& card) {
  std::string html = "<article>\n";
  if (!card.picture.empty()) {
    html += cat("<div class=\"pictures\"><img loading=\"lazy\" alt=\"the picture of ", html_escape(card.id),
                "\" src=\"", card.picture, "\"></div>\n");
  }
  html += cat("<div class=\"said\"><p class=\"id\"><b>", html_escape(card.id), "</b>");
  if (!card.kind.empty()) html += cat(" <span class=\"tag\">", html_escape(card.kind), "</span>");
  html += "</p>\n";
  if (!card.question.empty()) html += cat("<p class=\"text asked\">", beginning(card.question), "</p>\n");
  html += "<dl>";
  if (!card.reference.empty())
    html += cat("<dt>reference</dt><dd><span class=\"text\">", beginning(card.reference), "</span></dd>\n");
  for (const ExampleAnswer& answer : card.answers) {
    const std::string text =
        trim(answer.text).empty() ? std::string("<i class=\"quiet\">(empty)</i>") : beginning(answer.text);
    html += cat("<dt>", html_escape(answer.who), "</dt><dd>", answer.judged ? verdict(answer.score) + " " : "",
                "<span class=\"text\">", text, "</span></dd>\n");
  }
  return html + "</dl></div></article>\n";
}

}  // namespace striate
