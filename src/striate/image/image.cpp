#include "striate/image/image.h"
