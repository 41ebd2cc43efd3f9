#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// Recurrences over a packed batch, in PyTorch's order of gates. `step_starts` [steps + 1] and `rows` [directions, tokens]
// say who moves when: at step t, the sequences still alive read and write the rows rows[step_starts[t] ..
// step_starts[t + 1]) of their direction, longest sequence first, so that those of a step are the first of the step before.
// projected: [tokens, directions * gates * units] (inputs times their weights, bias included); weight: [directions,
// gates * units, units]; bias [directions, gates * units] may be null; y: [tokens, directions * units]. Where a backward
// pass comes, `cells` [tokens, directions * units] and `states` [tokens, directions * 4 * units] are written; else null.

// LSTM: gates i, f, g, o; `states` holds them activated.
void lstm_f32(const float* projected, const float* weight, const float* bias, float* y, float* cells, float* states,
              const int32_t* rows, const int32_t* step_starts, int64_t steps, int64_t tokens, int64_t units, int64_t directions);
// weight_transposed: [directions, units, gates * units]. Writes the gradient of `projected`, and for each row the hidden
// state that stood before it (0 at the first step): the gradient of the weight is a product of the two.
void lstm_backward_f32(const float* weight_transposed, const float* y, const float* cells, const float* states, const float* gy,
                       float* gprojected, float* previous, const int32_t* rows, const int32_t* step_starts, int64_t steps,
                       int64_t tokens, int64_t units, int64_t directions);

// GRU: gates r, z, n with n = tanh(projected + r * (h W + bias)); `states` holds r, z, n and the bracket.
void gru_f32(const float* projected, const float* weight, const float* bias, float* y, float* states, const int32_t* rows,
             const int32_t* step_starts, int64_t steps, int64_t tokens, int64_t units, int64_t directions);
// grecurrent, laid out as gprojected: the gradient of h W + bias.
void gru_backward_f32(const float* weight_transposed, const float* y, const float* states, const float* gy, float* gprojected,
                      float* grecurrent, float* previous, const int32_t* rows, const int32_t* step_starts, int64_t steps,
                      int64_t tokens, int64_t units, int64_t directions);

}  // namespace cloze::CLOZE_ISA
