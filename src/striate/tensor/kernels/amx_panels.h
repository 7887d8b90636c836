// Products of panels on AMX tiles. Included by amx_kernels.cpp alone.
//
// A tile holds 16 rows of 64 bytes. tdpbf16ps adds a [16, 32] bf16 tile times a [32, 16] one, whose rows lie in pairs,
// to a [16, 16] fp32 tile: a panel is two by two tiles.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "striate/tensor/kernels/panel_attention.h"

namespace striate {
namespace {

// Tiles 0-3 accumulate, 4-5 hold the left side, 6-7 the right; all of 16 rows and 64 bytes.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Sets the tiles up, and puts back what another library had set. GCC 12's intrinsics say that they touch eight bytes of
// a set-up only: ours is static and the other's is never written by the compiler, so that it has nothing to put off.
class TileScope {
 public:
  TileScope() {
    _tile_storeconfig(before_);
    static constexpr TileConfig kMine;
    _tile_loadconfig(&kMine);
  }
  ~TileScope() {
    const bool unset = before_[0] == 0;  // the palette
    if (unset) {
      _tile_release();
    } else {
      _tile_loadconfig(before_);
    }
  }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;

 private:
  alignas(64) std::uint8_t before_[64];
};

struct AmxPanels {
  static constexpr std::int64_t kPanel = 32;
  using Scope = TileScope;

  static void multiply(const PanelProduct& job) {
    // GCC 12's tile loads do not say that they read memory: what was stored before must not be put off.
    __asm__ volatile("" ::: "memory");
    const auto a_bytes = static_cast<std::size_t>(job.a_row) * 2;
    const auto b_bytes = static_cast<std::size_t>(job.b_row) * 4;
    const auto c_bytes = static_cast<std::size_t>(job.c_row) * 4;
    if (job.accumulate) {
      _tile_loadd(0, job.c, c_bytes);
      _tile_loadd(1, job.c + 16, c_bytes);
      _tile_loadd(2, job.c + 16 * job.c_row, c_bytes);
      _tile_loadd(3, job.c + 16 * job.c_row + 16, c_bytes);
    } else {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    for (std::int64_t k = 0; k < job.depth; k += kPanel) {
      const std::uint32_t* b = job.b + k / 2 * job.b_row;
      _tile_loadd(4, job.a + k, a_bytes);
      _tile_loadd(5, job.a + 16 * job.a_row + k, a_bytes);
      _tile_loadd(6, b, b_bytes);
      _tile_loadd(7, b + 16, b_bytes);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, job.c, c_bytes);
    _tile_stored(1, job.c + 16, c_bytes);
    _tile_stored(2, job.c + 16 * job.c_row, c_bytes);
    _tile_stored(3, job.c + 16 * job.c_row + 16, c_bytes);
  }
};

}  // namespace
}  // namespace striate
