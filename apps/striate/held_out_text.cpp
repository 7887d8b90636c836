#include "apps/striate/held_out_text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>

#include "striate/answers/number_text.h"
#include "striate/base/strings.h"
#include "striate/image/picture_name.h"

namespace striate::app {
namespace {

constexpr std::size_t kShownAnswers = 3, kAnswerLength = 60;  // the others are in OUT/eval

std::string fixed(const char* format, double value) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

}  // namespace

std::string score_text(const BenchmarkScore& score) {
  const std::string& unit = score.headline.unit;
  return cat(metric_text(score.headline.value, unit), " (", interval_text(score.interval, unit), ")");
}

void print_held_out(const std::string& what, const EvaluationMetrics& m) {
  std::cerr << what << ": ";
  if (m.benchmark) {
    const BenchmarkScore& score = *m.benchmark;
    std::cerr << score.benchmark << " by " << score.protocol << ", " << score.headline.name << ' ' << score_text(score)
              << ", " << score.answered << " of " << score.questions << " questions";
    if (score.bad > 0) std::cerr << ", " << score.bad << " could not be asked";
  } else {
    std::cerr << "loss " << fixed("%.4f", m.loss);
    if (m.questions > 0) {
      std::cerr << ", " << m.exact << " of " << m.questions << " answers exact ("
                << fixed("%.1f", 100.0 * static_cast<double>(m.exact) / static_cast<double>(m.questions)) << "%)";
    }
  }
  std::cerr << '\n';
  for (std::size_t i = 0; i < std::min(kShownAnswers, m.answers.size()); ++i) {
    const HeldOutAnswer& answer = m.answers[i];
    if (answer.text.empty() && answer.reference.empty()) continue;  // a text whose probability was measured
    std::cerr << "  " << (answer.exact ? "right: " : "wrong: ") << printable(shortened(answer.text, kAnswerLength));
    if (!answer.exact) std::cerr << "  (wanted: " << printable(shortened(answer.reference, kAnswerLength)) << ')';
    std::cerr << '\n';
  }
}

}  // namespace striate::app
