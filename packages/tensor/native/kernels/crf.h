#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// Linear-chain conditional random fields over a packed batch, in log space. emissions: [tokens, labels]; rules:
// [labels + 2, labels]: from label i (row) to label j (column), then what starting with j and ending with j adds.
// log_partition [sequences]: the log of the sum over all paths (0 for an empty sequence). alphas [tokens, labels]: forward
// scores, shifted to sum to 1 as probabilities at each token.
void crf_f32(const float* emissions, const float* rules, const int32_t* offsets, float* log_partition, float* alphas,
             int64_t sequences, int64_t labels);

// gradient [sequences] is that of log_partition. Writes gemissions, and grules [ceil(sequences / group), labels + 2, labels]:
// the gradient of the rules for each `group` of sequences.
void crf_backward_f32(const float* emissions, const float* rules, const int32_t* offsets, const float* alphas,
                      const float* gradient, float* gemissions, float* grules, int64_t sequences, int64_t labels,
                      int64_t group);

}  // namespace cloze::CLOZE_ISA
