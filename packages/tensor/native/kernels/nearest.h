// The rows with the largest inner products, without ever holding all products.
#pragma once
#include <cstdint>

namespace cloze::CLOZE_ISA {

// For each query [queries, width] the k largest of its inner products with rows, `row_bytes` apart. `kind` says how a row
// lies: 0 float32; 1 a float32 scale and codes of 8 bits; 2 signs (a set bit is 1 / sqrt(width), a clear one the opposite),
// lowest bit first. `skip`: a byte for each row, rows where it is not 0 are passed over; null: none is.
// `scores` and `ids` [queries, k] hold what was found so far, best first (unused places: -infinity and -1), and receive
// it; ids are `first` + row. Of equal scores the lowest id counts. Products that are NaN are passed over.
void nearest_rows(int32_t kind, const void* rows, int64_t row_bytes, const void* skip, const float* query, float* scores,
                  int32_t* ids, int64_t count, int64_t first, int64_t queries, int64_t width, int64_t k);

}  // namespace cloze::CLOZE_ISA
