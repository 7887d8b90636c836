// The pictures of a data set: where they lie, whether they are whole, and their pixels.
#pragma once

#include <cstddef>
#include <filesystem>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "striate/data/bad_sample.h"
#include "striate/image/image.h"

namespace striate {

// Throws InvalidInput when a folder is named that is none. Empty: the folder the program runs in.
void check_images_folder(const std::filesystem::path& folder);

// The folder that the samples' `image` is relative to.
class PictureFolder {
 public:
  PictureFolder(std::filesystem::path folder, PreprocessConfig config)
      : folder_(std::move(folder)), config_(std::move(config)) {}

  // The file a sample names. A relative name stays inside the folder: one that leads out of it with ".." is refused; an
  // absolute one is taken as it is. Links are followed. Throws BadSample (kImagePath).
  std::filesystem::path resolve(const std::string& name) const;

  // The file's bytes. Throws BadSample (kMissingImage: absent, unreadable, not a regular file; kBrokenImage: empty or
  // over 256 MB).
  std::string read(const std::filesystem::path& file) const;
  // [3, size, size] fp32 of an encoded picture, as the tower expects it. Throws BadSample (kBrokenImage).
  std::vector<float> pixels(const std::string& bytes, const std::filesystem::path& file) const;
  // Throws what read() and pixels() would: the picture is decoded to its last pixel.
  void check(const std::filesystem::path& file) const;

  const PreprocessConfig& config() const { return config_; }

 private:
  Image decode(const std::string& bytes, const std::filesystem::path& file) const;

  std::filesystem::path folder_;
  PreprocessConfig config_;
};

// Checks pictures once each, however many samples show them. May be used from many threads.
class PictureChecker {
 public:
  explicit PictureChecker(PictureFolder folder) : folder_(std::move(folder)) {}

  // Throws BadSample for a picture that is not there, or not whole.
  void check(const std::string& name);
  const PictureFolder& folder() const { return folder_; }

 private:
  PictureFolder folder_;
  std::mutex mutex_;
  std::unordered_set<std::size_t> good_;  // hashes of names: 8 bytes a picture
};

}  // namespace striate
