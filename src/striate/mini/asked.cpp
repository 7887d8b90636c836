#include "striate/mini/asked.h"

#include <algorithm>
#include <array>
#include <string>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate::mini {
namespace {

bool is_asked(const std::vector<Question>& questions, const Question& question) {
  return std::ranges::any_of(questions, [&](const Question& other) { return other.text == question.text; });
}

// A question of the family that is not there yet.
bool ask_new(const Scene& scene, Family family, std::vector<Question>& questions, Draws& draws) {
  constexpr int kAttempts = 6;
  for (int i = 0; i < kAttempts; ++i) {
    const std::optional<Question> question = ask(scene, family, draws);
    if (!question || is_asked(questions, *question)) continue;
    questions.push_back(*question);
    return true;
  }
  return false;
}

// The families in ascending order of how often they were asked, those asked equally often in any order.
std::vector<Family> rarest_first(std::vector<Family> families, const AskedCounts& counts, Draws& draws) {
  draws.shuffle(families);
  const auto asked = [&](Family family) {
    const auto found = counts.find(family);
    return found == counts.end() ? std::int64_t{0} : found->second;
  };
  std::ranges::stable_sort(families, {}, asked);
  return families;
}

std::vector<Question> ask_rarest(const Scene& scene, const std::vector<Family>& families, int count,
                                 AskedCounts& counts, Draws& draws) {
  std::vector<Question> out;
  const auto asked = [&](Family family) {
    if (!ask_new(scene, family, out, draws)) return false;
    ++counts[family];
    return true;
  };
  for (bool found = true; found && static_cast<int>(out.size()) < count;) {
    const std::vector<Family> order = rarest_first(families, counts, draws);
    found = std::ranges::any_of(order, asked);
  }
  draws.shuffle(out);
  return out;
}

// The first question is of the family `first`; none at all where the scene has none of it.
std::vector<Question> ask_first(const Scene& scene, const std::vector<Family>& families, Family first, int count,
                                Draws& draws) {
  constexpr int kAttemptsPerQuestion = 8;
  std::vector<Question> out;
  if (!ask_new(scene, first, out, draws)) return out;
  for (int i = 0; i < count * kAttemptsPerQuestion && static_cast<int>(out.size()) < count; ++i) {
    ask_new(scene, draws.pick(families), out, draws);
  }
  return out;
}

[[noreturn]] void refuse(const std::vector<Family>& families) {
  std::vector<std::string> names;
  for (const Family family : families) names.push_back(family_name(family));
  throw invalid_input(cat("no scene of this world suits the question families: ", join(names, ", ")),
                      "allow more objects or a label, or choose other families");
}

// The other answer, to another question of the same family about the same scene; false where none was found.
bool ask_anew(AskedSample& sample, Question& question, Part part, Draws& draws) {
  constexpr int kAttempts = 32;
  const bool wanted = question.answer != "yes";
  for (int i = 0; i < kAttempts; ++i) {
    const std::optional<Question> other = sample.scene ? ask(*sample.scene, question.family, draws, wanted)
                                                       : ask_text(question.family, draws, part, wanted);
    if (!other || is_asked(sample.questions, *other)) continue;
    question = *other;
    return true;
  }
  return false;
}

std::int64_t yes_minus_no(const std::vector<AskedSample>& samples, Family family) {
  std::int64_t sum = 0;
  for (const AskedSample& sample : samples) {
    for (const Question& question : sample.questions) {
      if (question.family == family) sum += question.answer == "yes" ? 1 : -1;
    }
  }
  return sum;
}

// Leaves out the last question of the family with this answer, of a sample with others if there is one.
void leave_out(std::vector<AskedSample>& samples, Family family, const std::string& answer) {
  for (const std::size_t least : {2U, 1U}) {
    for (auto sample = samples.rbegin(); sample != samples.rend(); ++sample) {
      std::vector<Question>& questions = sample->questions;
      if (questions.size() < least) continue;
      const auto found = std::find_if(questions.rbegin(), questions.rend(), [&](const Question& question) {
        return question.family == family && question.answer == answer;
      });
      if (found == questions.rend()) continue;
      questions.erase(std::next(found).base());
      return;
    }
  }
}

void make_even(std::vector<AskedSample>& samples, Family family, Part part, std::uint64_t seed) {
  std::int64_t surplus = yes_minus_no(samples, family);
  const std::string answer = surplus > 0 ? "yes" : "no";
  surplus = std::abs(surplus);
  for (std::size_t i = samples.size(); i > 0 && surplus > 1; --i) {
    AskedSample& sample = samples[i - 1];
    Draws draws(seed, cat(name(part), " answers, even, ", family_name(family)), i);
    for (Question& question : sample.questions) {
      if (surplus < 2 || question.family != family || question.answer != answer) continue;
      if (ask_anew(sample, question, part, draws)) surplus -= 2;
    }
  }
  for (; surplus > 0; --surplus) leave_out(samples, family, answer);
}

// Scenes tried for one that a family can be asked of. Some are rare: of the scenes with at most three objects, fewer
// than one in ten allow `compare`, and where one in a hundred has a label, no other allows `ocr`.
constexpr std::uint64_t kScenesTried = 4096;

// The number of a scene that sample `sample` tries in a round of `in_round` scenes: rounds after the first are far
// behind the scenes of all samples. No two samples try the same scene.
std::uint64_t scene_to_try(std::uint64_t sample, std::uint64_t in_round, std::uint64_t attempt) {
  constexpr std::uint64_t kFar = std::uint64_t{1} << 56;
  return sample * in_round + attempt % in_round + attempt / in_round * kFar;
}

}  // namespace

AskedSample ask_conversation(const WorldOptions& world, std::uint64_t seed, std::uint64_t index,
                             const std::vector<Family>& families, int count, AskedCounts& counts) {
  constexpr std::uint64_t kInRound = 64;
  for (std::uint64_t attempt = 0; attempt < kScenesTried; ++attempt) {
    const std::uint64_t scene_index = scene_to_try(index, kInRound, attempt);
    AskedSample out{draw_scene(world, Part::kTraining, seed, scene_index), {}};
    Draws draws(seed, cat(name(Part::kTraining), " questions"), scene_index);
    out.questions = ask_rarest(*out.scene, families, count, counts, draws);
    if (!out.questions.empty()) return out;
  }
  refuse(families);
}

AskedSample ask_in_turn(const WorldOptions& world, Part part, std::uint64_t seed, std::uint64_t index,
                        const std::vector<Family>& families, int count) {
  constexpr std::uint64_t kInRound = 256;  // then the next family is tried
  for (std::uint64_t begin = 0; begin < kScenesTried; begin += kInRound) {
    for (std::size_t next = 0; next < families.size(); ++next) {
      const Family first = families[(index + next) % families.size()];
      for (std::uint64_t attempt = begin; attempt < begin + kInRound; ++attempt) {
        const std::uint64_t scene_index = scene_to_try(index * families.size() + next, kInRound, attempt);
        AskedSample out{draw_scene(world, part, seed, scene_index), {}};
        Draws draws(seed, cat(name(part), " questions"), scene_index);
        out.questions = ask_first(*out.scene, families, first, count, draws);
        if (!out.questions.empty()) return out;
      }
    }
  }
  refuse(families);
}

void make_answers_even(std::vector<AskedSample>& samples, Part part, std::uint64_t seed) {
  for (const Family family : {Family::kExist, Family::kCompare, Family::kRelation, Family::kLogic}) {
    make_even(samples, family, part, seed);
  }
}

}  // namespace striate::mini
