// RefCOCO, RefCOCO+, RefCOCOg: find what a phrase refers to. Source: Yu et al., ECCV 2016; Mao et al., CVPR 2016.
#include "striate/answers/benchmarks/all.h"
#include "striate/answers/metrics.h"
#include "striate/answers/prompts.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

const NeededFile& refcoco_file() {
  static const NeededFile file{{"refcoco*.jsonl", "refcoco*.json"},
                               "phrases and boxes, a file for each split (refcoco_val, refcoco+_testA, refcocog_test)",
                               "the grounding data of github.com/QwenLM/Qwen-VL (eval_mm), or made from "
                               "github.com/lichengunc/refer"};
  return file;
}

// [left, top, right, bottom] in pixels, as shares of the picture.
Box refcoco_box(const Row& row, double width, double height) {
  const nlohmann::json& given = field_of(row, "bbox");
  if (!given.is_array() || given.size() != 4) bad_row(row, "\"bbox\" is not a list of four numbers");
  Box box{};
  for (std::size_t i = 0; i < 4; ++i) {
    if (!given[i].is_number()) bad_row(row, "\"bbox\" is not a list of four numbers");
    box[i] = given[i].get<double>() / (i % 2 == 0 ? width : height);
  }
  if (box[2] <= box[0] || box[3] <= box[1]) bad_row(row, "\"bbox\" is not left, top, right, bottom");
  return box;
}

QuestionSet read_refcoco(const DataFolder& data) {
  QuestionSet set;
  for (const auto& path : data.require_all(refcoco_file())) {
    const std::string split = path.stem().string();
    data.each_row(path, [&](const Row& row) {
      Question question;
      question.publisher_id = has(row, "question_id") ? text_of(row, "question_id") : cat(split, "/", row.number);
      question.text = has(row, "sent") ? text_of(row, "sent") : text_of(row, "question");
      question.pictures = {text_of(row, "image")};
      question.width = number_of(row, "width");
      question.height = number_of(row, "height");
      if (question.width <= 0 || question.height <= 0) bad_row(row, "the size of the picture is not positive");
      question.box = refcoco_box(row, question.width, question.height);
      question.kinds["split"] = {split};
      set.questions.push_back(std::move(question));
    });
  }
  return set;
}

// VLMEvalKit's total: every split counts the same.
double refcoco_split_mean(std::span<const Scored> items, std::span<const double> weights) {
  const auto parts = parts_by_kind(items, weights, "split");
  double sum = 0;
  for (const auto& [split, part] : parts) sum += mean_score(part.items, part.weights);
  return sum / static_cast<double>(parts.size());
}

std::vector<Metric> refcoco_more(std::span<const Scored> items) {
  double sum = 0;
  for (const Scored& item : items) sum += item.judgement.detail;
  const auto count = static_cast<std::int64_t>(items.size());
  return {{"mean IoU", 100 * sum / static_cast<double>(items.size()), "%", count}};
}

std::vector<Protocol> refcoco_protocols() {
  constexpr std::string_view kRequest =
      "Bounding box coordinates are specified in the format (top-left x, top-left y, bottom-right x, bottom-right y). "
      "All values are floating point numbers bounded between 0 and 1. Please provide the bounding box coordinate of "
      "the "
      "region this sentence describes: ";
  const Protocol lmms = text_protocol({"lmms-eval", "box-1024", "a description of the format, then the phrase", "iou",
                                       1024, plain_prompt(cat(kImageLine, kRequest), "")});
  Protocol kit = text_protocol({"vlmevalkit", "vlmevalkit-box-2048",
                                "lmms-eval's words after \" <image> \"; "
                                "VLMEvalKit's own are in its TSV file",
                                "iou-vlmevalkit", 2048, plain_prompt(cat(" <image> ", kRequest), "")});
  kit.headline_name = "mean accuracy of the splits";
  kit.headline = refcoco_split_mean;
  std::vector<Protocol> all = {kit, lmms, rescored(lmms, "strict", "iou-strict")};
  for (Protocol& protocol : all) {
    protocol.more = refcoco_more;
    protocol.notes.emplace_back(
        "LLaVA-1.5 was trained on pictures padded to squares, and its boxes refer to those; "
        "no harness converts them back");
  }
  return all;
}

}  // namespace

Benchmark refcoco_benchmark() {
  return {.name = "refcoco",
          .title = "RefCOCO, RefCOCO+, RefCOCOg",
          .measures = "finding what a phrase refers to: right from an IoU of 0.5 on",
          .files = {refcoco_file()},
          .pictures = "http://images.cocodataset.org/zips/train2014.zip",
          .kinds = {"split"},
          .protocols = refcoco_protocols(),
          .read = read_refcoco};
}

}  // namespace striate
