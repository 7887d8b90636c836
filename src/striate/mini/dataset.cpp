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
#include "striate/mini/png_encoder.h"
#include "striate/mini/render.h"

namespace striate::mini {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Scenes in words are others than the scenes of the pictures.
constexpr std::uint64_t kFirstTextScene = std::uint64_t{1} << 40;
constexpr std::uint64_t kAttempts = 64;  // scenes tried for one that the families can be asked of

struct AskedScene {
  Scene scene;
  std::vector<Question> questions;  // at least one, no two alike
};

std::vector<Question> ask_some(const Scene& scene, const std::vector<Family>& families, int count, Draws& draws) {
  constexpr int kDrawsPerQuestion = 8;
  std::vector<Question> out;
  for (int i = 0; i < count * kDrawsPerQuestion && static_cast<int>(out.size()) < count; ++i) {
    const std::optional<Question> question = ask(scene, draws.pick(families), draws);
    const auto same = [&](const Question& other) { return other.text == question->text; };
    if (question && std::none_of(out.begin(), out.end(), same)) out.push_back(*question);
  }
  return out;
}

// Scene `index` with its questions; scenes that none of the families fits are passed over.
AskedScene asked_scene(const DatasetOptions& options, Part part, std::uint64_t index, int count) {
  for (std::uint64_t attempt = 0; attempt < kAttempts; ++attempt) {
    const std::uint64_t scene_index = index * kAttempts + attempt;
    AskedScene out{draw_scene(options.world, part, options.seed, scene_index), {}};
    Draws draws(options.seed, part == Part::kTraining ? "training questions" : "held-out questions", scene_index);
    out.questions = ask_some(out.scene, options.families, count, draws);
    if (!out.questions.empty()) return out;
  }
  std::vector<std::string> names;
  for (const Family family : options.families) names.push_back(family_name(family));
  throw invalid_input(cat("no scene of this world suits the question families: ", join(names, ", ")),
                      "allow more objects or a label, or choose other families");
}

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

class Writer {
 public:
  Writer(const DatasetOptions& options, const fs::path& folder, const RenderProgress& progress)
      : options_(options), folder_(folder), progress_(progress) {}

  DatasetReport write() {
    write_pictures(Part::kTraining);
    write_pictures(Part::kHeldOut);
    if (options_.text > 0) {
      write_text("text", Part::kTraining, options_.text);
      write_text("text_held_out", Part::kHeldOut, std::max<std::int64_t>(options_.text / 10, 1));
    }
    write_json("world.json", world());
    return report_;
  }

 private:
  void write_pictures(Part part);
  void write_text(const std::string& file, Part part, std::int64_t count);
  json world() const;

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

void Writer::write_pictures(Part part) {
  const bool training = part == Part::kTraining;
  const std::string name = training ? "train" : "held_out";
  const std::int64_t count = training ? options_.train : options_.held_out;
  json samples = json::array(), captions = json::array();
  for (std::int64_t i = 0; i < count; ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    const AskedScene asked =
        asked_scene(options_, part, index, training ? options_.questions : options_.held_out_questions);
    const std::string id = cat(name, "-", number(i)), image = cat(name, "/", number(i), ".png");
    write_picture(image, encode_png(render_scene(asked.scene, options_.seed, training ? index : ~index)));
    count_answers(asked.questions, training ? report_.train : report_.held_out);
    if (training) {
      samples.push_back({{"id", id}, {"image", image}, {"conversations", conversation(asked.questions, "<image>\n")}});
      captions.push_back({{"id", id},
                          {"image", image},
                          {"conversations", json::array({{{"from", "human"}, {"value", "<image>"}},
                                                         {{"from", "gpt"}, {"value", scene_map(asked.scene)}}})}});
    } else {
      for (std::size_t q = 0; q < asked.questions.size(); ++q) {
        samples.push_back({{"id", cat(id, "-", family_name(asked.questions[q].family), "-", q)},
                           {"image", image},
                           {"conversations", conversation({asked.questions[q]}, "<image>\n")}});
      }
    }
    ++(training ? report_.train_pictures : report_.held_out_pictures);
    if (progress_) progress_(report_.train_pictures + report_.held_out_pictures, options_.train + options_.held_out);
  }
  if (training) write_json("align.json", captions);
  write_json(name + ".json", samples);
}

void Writer::write_text(const std::string& file, Part part, std::int64_t count) {
  json samples = json::array();
  for (std::int64_t i = 0; i < count; ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    const bool training = part == Part::kTraining;
    Draws draws(options_.seed, training ? "text" : "held-out text", index);
    json turns;
    if (!options_.text_families.empty() && draws.chance(options_.text_family_share)) {
      std::vector<Question> questions;
      for (int q = 0; q < options_.questions; ++q)
        questions.push_back(ask_text(draws.pick(options_.text_families), draws));
      turns = conversation(questions, "");
    } else {
      const AskedScene asked = asked_scene(options_, part, kFirstTextScene + index, options_.questions);
      turns = conversation(asked.questions, cat("Scene: ", scene_map(asked.scene), "\n"));
    }
    samples.push_back({{"id", cat(file, "-", number(i))}, {"conversations", std::move(turns)}});
    if (training) ++report_.text_samples;
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
          {"version", 1},
          {"seed", options_.seed},
          {"grid", w.grid},
          {"max_objects", w.max_objects},
          {"label_share", w.label_share},
          {"small_objects", w.small_objects},
          {"repeat_share", w.repeat_share},
          {"picture_pixels", w.grid * kCellPixels},
          {"families", families},
          {"text_families", text},
          {"train_pictures", report_.train_pictures},
          {"held_out_pictures", report_.held_out_pictures},
          {"text_samples", report_.text_samples},
          {"held_out_majority", majority_share(report_.held_out)},
          {"train", counts_json(report_.train)},
          {"held_out", counts_json(report_.held_out)}};
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
  within(options.text, 0, kMost, "text samples");
  within(options.questions, 1, 50, "questions about a picture");
  within(options.held_out_questions, 1, 50, "questions about a held-out picture");
  if (options.train + options.held_out + options.text == 0) {
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
