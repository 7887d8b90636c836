#include "striate/tables/picture_source.h"

#include <algorithm>

namespace striate {
namespace {

class JoinedPictures : public PictureSource {
 public:
  explicit JoinedPictures(std::vector<std::shared_ptr<const PictureSource>> sources) : sources_(std::move(sources)) {}

  bool has(const std::string& name) const override {
    return std::ranges::any_of(sources_, [&](const auto& source) { return source->has(name); });
  }
  std::optional<std::string> bytes(const std::string& name) const override {
    for (const auto& source : sources_) {
      if (source->has(name)) return source->bytes(name);
    }
    return std::nullopt;
  }

 private:
  std::vector<std::shared_ptr<const PictureSource>> sources_;
};

}  // namespace

std::shared_ptr<const PictureSource> join_pictures(std::vector<std::shared_ptr<const PictureSource>> sources) {
  std::erase(sources, nullptr);
  if (sources.size() < 2) return sources.empty() ? nullptr : sources.front();
  return std::make_shared<JoinedPictures>(std::move(sources));
}

}  // namespace striate
