// Flags of a training run that it would not read beside the others that were given.
#pragma once

#include "apps/striate/train_flags.h"
#include "apps/striate/unread_flags.h"
#include "striate/train/healing.h"

namespace striate::app {

// All three throw InvalidInput for the first of the flags that were typed and would not be read. `flags` holds the
// settings of a file as well.

// Whatever is trained: in `striate train` and in `striate heal`.
void refuse_unread_of_run(const TrainFlags& flags, const TypedFlags& typed);
// With the stage and the kind of tuning of `striate train`. Throws InvalidInput for unknown words as well.
void refuse_unread_of_stage(const TrainFlags& flags, const TypedFlags& typed);
// With what `striate heal` tunes, which is never kAuto.
void refuse_unread_of_healing(HealTune tune, const TypedFlags& typed);

}  // namespace striate::app
