// One question with its picture and what models answered.
#pragma once

#include <string>
#include <vector>

namespace striate {

struct ExampleAnswer {
  std::string who;     // the model
  std::string text;    // what it wrote
  double score = 0;    // 0 to 1
  bool judged = true;  // otherwise the score is not shown
};

struct ExampleCard {
  std::string id;
  std::string kind{};      // shown beside the id
  std::string picture{};   // of picture_uri(); empty: none
  std::string question{};  // empty, as the next: it is not known and left out
  std::string reference{};
  std::vector<ExampleAnswer> answers{};
};

// HTML for a page (report_page.h). Texts are shown as they are, up to 1000 bytes of each.
std::string example_card_html(const ExampleCard& card);

}  // namespace striate
