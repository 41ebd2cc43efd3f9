// The tile registers of newer Intel processors (AMX): eight of sixteen rows of 64 bytes. A thread sets their shapes before it
// uses them and gives them back after, since threads that keep them in use are slower to switch between.
#pragma once
#include <cstdint>

#include "../simd.h"

namespace cloze::CLOZE_ISA {

#if defined(__AMX_TILE__)
constexpr int tile_side = 16;  // rows, and 32-bit lanes of a row

struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

CLOZE_INLINE void take_tiles() {
  const TileShapes whole;
  _tile_loadconfig(&whole);
}
CLOZE_INLINE void leave_tiles() { _tile_release(); }
#else
CLOZE_INLINE void take_tiles() {}
CLOZE_INLINE void leave_tiles() {}
#endif

}  // namespace cloze::CLOZE_ISA
