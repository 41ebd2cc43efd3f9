#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// Attention inside each sequence of a packed batch: sequence s holds rows [offsets[s], offsets[s + 1]). q, k, v and out are
// [tokens, heads * size] with rows ld* apart. `log_sums` [heads, tokens] receives log(sum(exp(scaled scores))).
// causal: a token sees itself and what is before it. window > 0: it sees tokens at most `window` away. Probabilities are
// dropped at `rate` by the bits of (seed, head * tokens + row, column). `hidden` [tokens] (null: none): a row that is not 0
// is seen by itself alone. No matrix of sequence x sequence is kept.
void attention_f32(const float* q, const float* k, const float* v, float* out, float* log_sums, const int32_t* offsets,
                   int64_t sequences, int64_t tokens, int64_t heads, int64_t size, int64_t ldq, int64_t ldk, int64_t ldv,
                   int64_t ldo, float scale, int32_t causal, int64_t window, float rate, int64_t seed, const int32_t* hidden);
// The same with scores by distance, before `scale`. A distance is key minus query; row d + span - 1 of the tables (rows
// -(span - 1) to span - 1, ascending) stands for distance d, and no sequence is longer than span. Each table may be null:
// bias [2 span - 1, heads] is added as it is, keys [2 span - 1, heads * size] are multiplied with the query, queries
// [2 span - 1, heads * size] with the key.
void attention_relative_f32(const float* q, const float* k, const float* v, float* out, float* log_sums,
                            const int32_t* offsets, int64_t sequences, int64_t tokens, int64_t heads, int64_t size, int64_t ldq,
                            int64_t ldk, int64_t ldv, int64_t ldo, float scale, const float* bias, const float* keys,
                            const float* queries, int64_t span);

// dq, dk and dv are written; they are laid out as q, k and v.
void attention_backward_f32(const float* q, const float* k, const float* v, const float* out, const float* log_sums,
                            const float* dout, float* dq, float* dk, float* dv, const int32_t* offsets, int64_t sequences,
                            int64_t tokens, int64_t heads, int64_t size, int64_t ldq, int64_t ldk, int64_t ldv, int64_t ldo,
                            int64_t ldd, float scale, int32_t causal, int64_t window, float rate, int64_t seed,
                            const int32_t* hidden);

}  // namespace cloze::CLOZE_ISA
