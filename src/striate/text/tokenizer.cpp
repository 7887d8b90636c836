#include "striate/text/tokenizer.h"
