// The pictures of a data set: where they lie, whether they are whole, and their pixels.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "striate/data/bad_sample.h"
#include "striate/image/image.h"
#include "striate/tables/picture_source.h"

namespace striate {

class PictureTurn;  // image/picture_turn.h

// Throws InvalidInput when `folder` is not a folder. Empty: the folder the program runs in.
void check_images_folder(const std::filesystem::path& folder);

// An encoded picture, and what messages call it: its file, or its name in the data.
struct EncodedPicture {
  std::string bytes;
  std::filesystem::path place;
};

// The folder that the samples' `image` is relative to; pictures that lie inside the data's own files come from there.
class PictureFolder {
 public:
  PictureFolder(std::filesystem::path folder, PreprocessConfig config,
                std::shared_ptr<const PictureSource> inside = nullptr)
      : folder_(std::move(folder)), config_(std::move(config)), inside_(std::move(inside)) {}

  // The picture that a sample names: one of the data's own, else a file. Throws what resolve() and read() throw, and
  // BadSample (kBrokenImage) where the data's own is damaged.
  EncodedPicture open(const std::string& name) const;

  // The file a sample names. A relative name stays inside the folder: one that leads out of it with ".." is refused; an
  // absolute one is taken as it is. Links are followed. Throws BadSample (kImagePath), also for an address or base64
  // data in place of a name (image/picture_name.h).
  std::filesystem::path resolve(const std::string& name) const;

  // The file's bytes. Throws BadSample (kMissingImage: absent, unreadable, not a regular file; kBrokenImage: empty or
  // over 256 MB).
  std::string read(const std::filesystem::path& file) const;
  // [3, size, size] fp32 of an encoded picture, as the tower expects it. Throws BadSample (kBrokenImage).
  std::vector<float> pixels(const std::string& bytes, const std::filesystem::path& file) const;
  // Throws what open() and pixels() would: the picture is decoded to its last pixel.
  void check(const std::string& name) const;

  const PreprocessConfig& config() const { return config_; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  // Takes `turn` before the picture, or the square around it, is large; the caller holds it as long as the picture.
  Image decode(const std::string& bytes, const std::filesystem::path& file, PictureTurn& turn) const;
  std::vector<float> fit(const Image& image, const std::filesystem::path& file) const;

  std::filesystem::path folder_;
  PreprocessConfig config_;
  std::shared_ptr<const PictureSource> inside_;
};

// Checks pictures once each, however many samples show them. May be used from many threads.
class PictureChecker {
 public:
  explicit PictureChecker(PictureFolder folder) : folder_(std::move(folder)) {}

  // Throws BadSample for a picture that is not there, or not whole.
  void check(const std::string& name);
  // Whether any was whole so far.
  bool found_any() const;
  const PictureFolder& folder() const { return folder_; }

 private:
  PictureFolder folder_;
  mutable std::mutex mutex_;
  std::unordered_set<std::size_t> good_;  // hashes of names: 8 bytes a picture
};

}  // namespace striate
