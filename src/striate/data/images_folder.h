// Whether the images folder is the one that a data set's pictures are in.
#pragma once

#include <optional>

#include "striate/base/error.h"
#include "striate/data/dataset.h"
#include "striate/data/picture_folder.h"

namespace striate {

// What to say when none of the pictures that the data set names is there: one error that asks about `images`, and names
// the folder they are in where it is near, instead of one for every sample. Looks for the pictures of up to 512
// samples, evenly spread over the file; nullopt where any of them is there, where fewer than two were looked
// for, and where the data has pictures of its own.
std::optional<Error> wrong_images_folder(const Dataset& data, const PictureFolder& folder);

}  // namespace striate
