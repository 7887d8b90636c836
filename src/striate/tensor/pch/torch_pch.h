// The precompiled header every room that uses LibTorch shares: ATen costs twenty seconds a file without it.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>
