// Boxes: intersection over union with the right one, 0.5 or more is right.
#include <algorithm>
#include <cmath>

#include "striate/answers/pattern.h"
#include "striate/answers/python_text.h"
#include "striate/answers/rule_list.h"
#include "striate/answers/rules.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr double kRightIou = 0.5;

Box box_of(const Pattern::Match& match) {
  Box box{};
  for (std::size_t i = 0; i < box.size(); ++i) box[i] = python::to_float(match[i + 1]).value_or(0);
  return box;
}

std::string box_text(const Box& box) {
  return cat("[", box[0], ", ", box[1], ", ", box[2], ", ", box[3], "]");
}

Judgement judged_iou(const std::optional<Box>& box, double iou) {
  if (!std::isfinite(iou)) iou = 0;  // two empty boxes, where the originals divide by zero
  return {.score = iou >= kRightIou ? 1.0 : 0.0,
          .parsed = box ? box_text(*box) : std::string(),
          .unparsed = !box,
          .detail = iou};
}

Judgement judge_iou(const Question& question, std::string_view text) {
  const std::optional<Box> box = first_box(text);
  if (!question.box) return judged_iou(box, 0);
  return judged_iou(box, intersection_over_union(*question.box, box.value_or(Box{})));
}

// VLMEvalKit: four numbers anywhere; up to 1.5 they are shares, up to 1000 thousandths, else pixels.
std::optional<Box> vlmevalkit_box(std::string_view text) {
  static const std::string number = R"([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)", gap = R"((?:\s*,\s*|\s+))";
  static const Pattern bracketed(
      cat(R"(\[\s*()", number, ")", gap, "(", number, ")", gap, "(", number, ")", gap, "(", number, R"()\s*\])"));
  static const Pattern any(cat("(", number, ")"));
  if (const auto found = bracketed.search(text)) return box_of(*found);
  const std::vector<Pattern::Match> numbers = any.find_all(text);
  if (numbers.size() < 4) return std::nullopt;
  return box_of({"", numbers[0][1], numbers[1][1], numbers[2][1], numbers[3][1]});
}

Box in_pixels(Box box, double width, double height) {
  const double largest = std::max({std::abs(box[0]), std::abs(box[1]), std::abs(box[2]), std::abs(box[3])});
  const double scale = largest <= 1.5 ? 1 : 1e-3;
  for (std::size_t i = 0; i < box.size(); ++i) {
    const double side = i % 2 == 0 ? width : height;
    if (largest <= 1000) box[i] *= scale * side;
    box[i] = std::clamp(box[i], 0.0, side);
  }
  if (box[2] < box[0]) std::swap(box[0], box[2]);
  if (box[3] < box[1]) std::swap(box[1], box[3]);
  return box;
}

Judgement judge_iou_vlmevalkit(const Question& question, std::string_view text) {
  const std::optional<Box> box = vlmevalkit_box(text);
  if (!box || !question.box) return judged_iou(box, 0);
  const double width = question.width > 0 ? question.width : 1, height = question.height > 0 ? question.height : 1;
  const Box right{(*question.box)[0] * width, (*question.box)[1] * height, (*question.box)[2] * width,
                  (*question.box)[3] * height};
  const double iou = intersection_over_union(in_pixels(*box, width, height), right);
  return judged_iou(box, iou);
}

// Four numbers in square or round brackets that are a box of shares: nothing is guessed about units.
Judgement judge_iou_strict(const Question& question, std::string_view text) {
  static const Pattern bracketed(
      R"([\[(]\s*(\d*\.?\d+)\s*,\s*(\d*\.?\d+)\s*,\s*(\d*\.?\d+)\s*,\s*(\d*\.?\d+)\s*[\])])");
  const auto found = bracketed.search(text);
  if (!found) return judged_iou(std::nullopt, 0);
  const Box box = box_of(*found);
  const bool shares = std::ranges::all_of(box, [](double value) { return value >= 0 && value <= 1; });
  if (!shares || box[2] <= box[0] || box[3] <= box[1] || !question.box) return judged_iou(std::nullopt, 0);
  return judged_iou(box, intersection_over_union(*question.box, box));
}

}  // namespace

std::optional<Box> first_box(std::string_view text) {
  static const Pattern bracketed(
      R"(\[\s*(-?\d+(?:\.\d+)?),\s*(-?\d+(?:\.\d+)?),\s*(-?\d+(?:\.\d+)?),\s*(-?\d+(?:\.\d+)?)\s*\])");
  const auto found = bracketed.search(text);
  return found ? std::optional<Box>(box_of(*found)) : std::nullopt;
}

double intersection_over_union(const Box& a, const Box& b) {
  const double width = std::max(0.0, std::min(a[2], b[2]) - std::max(a[0], b[0]));
  const double height = std::max(0.0, std::min(a[3], b[3]) - std::max(a[1], b[1]));
  const double common = width * height;
  const double all = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common;
  return all == 0 ? std::numeric_limits<double>::quiet_NaN() : common / all;
}

std::vector<ScoringRule> box_rules() {
  return {
      {"iou", "the first [a, b, c, d], else an empty box; right from IoU 0.5 on", "lmms-eval's utils_rec.py",
       judge_iou},
      {"iou-vlmevalkit", "four numbers anywhere, read as shares, thousandths or pixels by their size", "VLMEvalKit",
       judge_iou_vlmevalkit},
      {"iou-strict", "four shares in brackets that are a box; all else is unparsed", "Striate", judge_iou_strict},
  };
}

}  // namespace striate
