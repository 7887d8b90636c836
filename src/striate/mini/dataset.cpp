#include "striate/mini/dataset.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/output_file.h"
#include "striate/base/strings.h"
#include "striate/mini/asked.h"
#include "striate/mini/png_encoder.h"
#include "striate/mini/render.h"

namespace striate::mini {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Scenes in words are others than the scenes of the pictures.
constexpr std::uint64_t kFirstTextScene = std::uint64_t{1} << 40;
std::string number(std::int64_t index) {
  std::ostringstream out;
  out << std::setw(6) << std::setfill('0') << index;
  return out.str();
}

// Alternating turns; `before` stands in front of the first question.
json conversation(const std::vector<Question>& questions, const std::string& before) {
  json turns = json::array();
  for (const Question& question : questions) {
    turns.push_back({{"from", "human"}, {"value", turns.empty() ? before + question.text : question.text}});
    turns.push_back({{"from", "gpt"}, {"value", question.answer}});
  }
  return turns;
}

void count_answers(const std::vector<Question>& questions, std::map<std::string, FamilyCount>& counts) {
  for (const Question& question : questions) {
    FamilyCount& count = counts[family_name(question.family)];
    ++count.questions;
    ++count.answers[question.answer];
  }
}

// What the files of a part are called: train.json, train/000000.png.
const char* file_name(Part part) {
  switch (part) {
    case Part::kTraining:
      return "train";
    case Part::kHeldOut:
      return "held_out";
    case Part::kTest:
      return "test";
  }
  throw internal_error("a part without a file name");
}

class Writer {
 public:
  Writer(const DatasetOptions& options, const fs::path& folder, const RenderProgress& progress)
      : options_(options), folder_(folder), progress_(progress) {}

  DatasetReport write() {
    write_pictures(Part::kTraining, options_.train);
    write_pictures(Part::kHeldOut, options_.held_out);
    if (options_.test > 0) write_pictures(Part::kTest, options_.test);
    if (options_.text > 0) {
      const std::int64_t tenth = std::max<std::int64_t>(options_.text / 10, 1);
      write_text("text", Part::kTraining, options_.text);
      write_text("text_held_out", Part::kHeldOut, tenth);
      if (options_.test > 0) write_text("text_test", Part::kTest, tenth);
    }
    write_json("world.json", world());
    return report_;
  }

 private:
  void write_pictures(Part part, std::int64_t count);
  void write_text(const std::string& file, Part part, std::int64_t count);
  AskedSample ask_about(Part part, std::uint64_t index, int count, AskedCounts& counts) const;
  AskedSample ask_words(Part part, std::uint64_t index, AskedCounts& counts) const;
  json world() const;

  std::map<std::string, FamilyCount>& answers(Part part) {
    return part == Part::kTraining ? report_.train : part == Part::kHeldOut ? report_.held_out : report_.test;
  }
  std::int64_t& pictures(Part part) {
    return part == Part::kTraining  ? report_.train_pictures
           : part == Part::kHeldOut ? report_.held_out_pictures
                                    : report_.test_pictures;
  }

  // Pictures are made again from the seed: they are synced all at once at the end.
  void write_picture(const std::string& file, const std::string& bytes) {
    write_file(OutputPath::inside(folder_, file), bytes, Durability::kCache);
    report_.bytes += bytes.size();
  }

  void write_json(const std::string& file, const json& content) {
    const std::string text = content.dump(1) + "\n";
    write_file(OutputPath::inside(folder_, file), text);
    report_.bytes += text.size();
  }

  const DatasetOptions& options_;
  fs::path folder_;
  const RenderProgress& progress_;
  DatasetReport report_;
};

// Pictures of different parts differ in their noise, too.
std::uint64_t picture_index(Part part, std::uint64_t index) {
  constexpr std::uint64_t kFirstTestPicture = std::uint64_t{1} << 40;
  return part == Part::kTraining ? index : part == Part::kHeldOut ? ~index : kFirstTestPicture + index;
}

// One sample for each question; their ids name the families.
void add_each(json& samples, const std::string& id, const std::vector<Question>& questions, const std::string& before,
              const std::string& image) {
  for (std::size_t q = 0; q < questions.size(); ++q) {
    json sample = {{"id", cat(id, "-", family_name(questions[q].family), "-", q)},
                   {"conversations", conversation({questions[q]}, before)}};
    if (!image.empty()) sample["image"] = image;
    samples.push_back(std::move(sample));
  }
}

void Writer::write_pictures(Part part, std::int64_t count) {
  const bool training = part == Part::kTraining;
  const std::string name = file_name(part);
  std::vector<AskedSample> asked;
  AskedCounts counts;
  for (std::int64_t i = 0; i < count; ++i) {
    const int questions = training ? options_.questions : options_.held_out_questions;
    asked.push_back(ask_about(part, static_cast<std::uint64_t>(i), questions, counts));
  }
  make_answers_even(asked, part, options_.seed);
  json samples = json::array(), captions = json::array();
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& [scene, questions] = asked[static_cast<std::size_t>(i)];
    const std::string id = cat(name, "-", number(i)), image = cat(name, "/", number(i), ".png");
    const std::uint64_t index = picture_index(part, static_cast<std::uint64_t>(i));
    write_picture(image, encode_png(render_scene(*scene, options_.seed, index)));
    count_answers(questions, answers(part));
    if (!training) add_each(samples, id, questions, "<image>\n", image);
    if (training && !questions.empty()) {
      samples.push_back({{"id", id}, {"image", image}, {"conversations", conversation(questions, "<image>\n")}});
    }
    if (training) {
      captions.push_back({{"id", id},
                          {"image", image},
                          {"conversations", json::array({{{"from", "human"}, {"value", "<image>"}},
                                                         {{"from", "gpt"}, {"value", scene_map(*scene)}}})}});
    }
    ++pictures(part);
    if (progress_) {
      progress_(report_.train_pictures + report_.held_out_pictures + report_.test_pictures,
                options_.train + options_.held_out + options_.test);
    }
  }
  if (training) write_json("align.json", captions);
  write_json(name + ".json", samples);
}

AskedSample Writer::ask_about(Part part, std::uint64_t index, int count, AskedCounts& counts) const {
  if (part != Part::kTraining) {
    return ask_in_turn(options_.world, part, options_.seed, index, options_.families, count);
  }
  return ask_conversation(options_.world, options_.seed, index, options_.families, count, counts);
}

// A scene in words, or questions of the text families.
AskedSample Writer::ask_words(Part part, std::uint64_t index, AskedCounts& counts) const {
  Draws draws(options_.seed, part == Part::kTraining ? "text" : name(part) + " text", index);
  const int count = part == Part::kTraining ? options_.questions : 1;
  if (options_.text_families.empty() || !draws.chance(options_.text_family_share)) {
    return ask_about(part, kFirstTextScene + index, count, counts);
  }
  AskedSample out;
  for (int q = 0; q < count; ++q) out.questions.push_back(ask_text(draws.pick(options_.text_families), draws, part));
  return out;
}

void Writer::write_text(const std::string& file, Part part, std::int64_t count) {
  std::vector<AskedSample> asked;
  AskedCounts counts;
  for (std::int64_t i = 0; i < count; ++i) asked.push_back(ask_words(part, static_cast<std::uint64_t>(i), counts));
  make_answers_even(asked, part, options_.seed);
  json samples = json::array();
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& [scene, questions] = asked[static_cast<std::size_t>(i)];
    const std::string id = cat(file, "-", number(i));
    const std::string before = scene ? cat("Scene: ", scene_map(*scene), "\n") : "";
    if (part != Part::kTraining) {
      add_each(samples, id, questions, before, "");
    } else if (!questions.empty()) {
      samples.push_back({{"id", id}, {"conversations", conversation(questions, before)}});
      ++report_.text_samples;
    }
  }
  write_json(file + ".json", samples);
}

json counts_json(const std::map<std::string, FamilyCount>& counts) {
  json out = json::object();
  for (const auto& [name, count] : counts) {
    out[name] = {{"questions", count.questions}, {"majority", count.majority_share()}, {"answers", count.answers}};
  }
  return out;
}

json Writer::world() const {
  const WorldOptions& w = options_.world;
  json families = json::array(), text = json::array();
  for (const Family family : options_.families) families.push_back(family_name(family));
  for (const Family family : options_.text_families) text.push_back(family_name(family));
  return {{"format", "striate-miniature"},
          {"version", 2},
          {"seed", options_.seed},
          {"grid", w.grid},
          {"max_objects", w.max_objects},
          {"label_share", w.label_share},
          {"digit_labels", w.digit_labels},
          {"small_objects", w.small_objects},
          {"repeat_share", w.repeat_share},
          {"picture_pixels", w.grid * kCellPixels},
          {"families", families},
          {"text_families", text},
          {"train_pictures", report_.train_pictures},
          {"held_out_pictures", report_.held_out_pictures},
          {"test_pictures", report_.test_pictures},
          {"text_samples", report_.text_samples},
          {"held_out_majority", majority_share(report_.held_out)},
          {"test_majority", majority_share(report_.test)},
          {"train", counts_json(report_.train)},
          {"held_out", counts_json(report_.held_out)},
          {"test", counts_json(report_.test)}};
}

void check(const DatasetOptions& options) {
  constexpr std::int64_t kMost = 1'000'000;
  check(options.world);
  const auto within = [](std::int64_t value, std::int64_t least, std::int64_t most, const char* what) {
    if (value < least || value > most) {
      throw invalid_input(cat(what, ": ", value, " is out of range"), cat("give ", least, " to ", most));
    }
  };
  within(options.train, 0, kMost, "training pictures");
  within(options.held_out, 0, kMost, "held-out pictures");
  within(options.test, 0, kMost, "test pictures");
  within(options.text, 0, kMost, "text samples");
  within(options.questions, 1, 50, "questions about a picture");
  within(options.held_out_questions, 1, 50, "questions about a held-out picture");
  if (options.train + options.held_out + options.test + options.text == 0) {
    throw invalid_input("no pictures and no texts were requested", "give a number of pictures or texts");
  }
  if (options.families.empty()) throw invalid_input("no question family was given", "give some, or visual for all");
  for (const Family family : options.families) {
    if (!is_visual(family)) {
      throw invalid_input(cat("question family \"", family_name(family), "\" does not ask about pictures"),
                          "give it as a text family");
    }
  }
  for (const Family family : options.text_families) {
    if (!is_visual(family)) continue;
    throw invalid_input(cat("`text_families` ", family_name(family), " is a family of questions about scenes"),
                        "give it with `families`: its questions also go with scenes described in words");
  }
}

// One call for thousands of small files, where a sync of each would take longer than rendering it.
void sync_files(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::syncfs(descriptor);
  ::close(descriptor);
}

}  // namespace

double FamilyCount::majority_share() const {
  std::int64_t most = 0;
  for (const auto& [answer, count] : answers) most = std::max(most, count);
  return questions == 0 ? 0 : static_cast<double>(most) / static_cast<double>(questions);
}

double majority_share(const std::map<std::string, FamilyCount>& families) {
  double right = 0, questions = 0;
  for (const auto& [name, count] : families) {
    right += count.majority_share() * static_cast<double>(count.questions);
    questions += static_cast<double>(count.questions);
  }
  return questions > 0 ? right / questions : 0;
}

DatasetReport write_dataset(const DatasetOptions& options, const fs::path& out, const RenderProgress& progress) {
  check(options);
  AtomicFolder folder(free_destination(out));
  const DatasetReport report = Writer(options, folder.path(), progress).write();
  sync_files(folder.path());
  folder.commit();
  return report;
}

}  // namespace striate::mini
