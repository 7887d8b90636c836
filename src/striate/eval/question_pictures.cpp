#include "striate/eval/question_pictures.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/data/bad_sample.h"

namespace striate {

QuestionPictures::QuestionPictures(const Lvlm& model, PictureFolder folder, const FeatureCaches& caches,
                                   WorkerPool& pool)
    : features_(model, std::move(folder), caches, pool), pool_(pool) {}

QuestionPictures::~QuestionPictures() {
  for (auto& [name, picture] : reading_) picture.wait();
}

void QuestionPictures::read(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (seen_.contains(name)) {
      kept_.push_back(name);
    } else if (!reading_.contains(name)) {
      reading_.emplace(name, pool_.submit(Urgency::kSoon, [this, name] { return features_.load(name); }));
    }
  }
}

void QuestionPictures::look() {
  std::map<std::string, Seen> window;
  for (const std::string& name : kept_) {
    if (seen_.contains(name)) window[name] = std::move(seen_.extract(name).mapped());
  }
  kept_.clear();
  std::vector<std::string> names;
  std::vector<LoadedPicture> pictures;
  for (auto& [name, picture] : reading_) {
    try {
      pictures.push_back(picture.get());
      names.push_back(name);
    } catch (const BadSample&) {
      window[name].problem = std::current_exception();
    }
  }
  reading_.clear();
  std::size_t next = 0;
  const std::vector<at::Tensor> features =
      features_.features(pictures.size(), [&] { return std::move(pictures[next++]); });
  for (std::size_t i = 0; i < names.size(); ++i) window[names[i]].features = features[i];
  seen_ = std::move(window);
}

at::Tensor QuestionPictures::find(const std::string& name) const {
  const auto found = seen_.find(name);
  if (found == seen_.end()) throw internal_error(cat("picture ", name, " was not looked at"));
  if (found->second.problem) std::rethrow_exception(found->second.problem);
  return found->second.features;
}

}  // namespace striate
