// The vision features of questions' pictures, each looked at once while its neighbours ask about it.
#pragma once

#include <ATen/core/Tensor.h>

#include <future>
#include <map>
#include <string>
#include <vector>

#include "striate/data/picture_features.h"
#include "striate/data/worker_pool.h"
#include "striate/model/lvlm.h"

namespace striate {

// Questions come in windows: the pictures of one window are read on the pool's threads while the one before is being
// answered, and go through the tower together. A picture that the next window shows again is the same tensor, so that
// its keys and values are found again. Not for several threads at once.
class QuestionPictures {
 public:
  // Model, pictures' folder and pool must outlive it.
  QuestionPictures(const Lvlm& model, PictureFolder folder, const FeatureCaches& caches, WorkerPool& pool);
  ~QuestionPictures();
  QuestionPictures(const QuestionPictures&) = delete;
  QuestionPictures& operator=(const QuestionPictures&) = delete;

  // Begins to read what the next window shows; names may occur twice.
  void read(const std::vector<std::string>& names);
  // Runs the tower on what read() began, and keeps the features of this window alone. A picture that is bad is left
  // out; find() throws for it.
  void look();
  // [P, vision_hidden] on the model's device. Throws BadSample for a picture that could not be read.
  at::Tensor find(const std::string& name) const;

 private:
  struct Seen {
    at::Tensor features;
    std::exception_ptr problem;
  };

  PictureFeatures features_;
  WorkerPool& pool_;
  std::map<std::string, Seen> seen_;
  std::map<std::string, std::future<LoadedPicture>> reading_;
  std::vector<std::string> kept_;  // of the window before, shown again in the next
};

}  // namespace striate
