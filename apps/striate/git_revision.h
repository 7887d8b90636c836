// The commit that the program was built from; cmake/StriateRevision.cmake writes the source.
#pragma once

namespace striate::app {

// "a450a8f9c3d1", with " and changes" where tracked files differ from it; "unknown" outside a git checkout.
const char* git_revision();

}  // namespace striate::app
