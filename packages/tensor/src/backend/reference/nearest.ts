import type { NearestKernels } from "../contract/nearest.js";
import type { ReferenceMemory } from "./memory.js";

export function nearestKernels({ array, real, integer }: ReferenceMemory): NearestKernels {
  return {
    nearestRows(kind, rows, rowBytes, skip, query, scores, ids, count, first, queries, width, k) {
      const source = array(rows);
      const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
      const skipped = skip === null ? undefined : array(skip);
      const size = 1 / Math.sqrt(width);
      const at = (row: number, c: number): number => {
        const base = row * rowBytes;
        if (kind === 0) return view.getFloat32(base + 4 * c, true);
        if (kind === 1) return Math.fround(view.getFloat32(base, true) * view.getInt8(base + 4 + c));
        return (view.getUint8(base + (c >> 3)) >> (c & 7)) & 1 ? size : -size;
      };
      for (let q = 0; q < queries; q++) {
        const found: { score: number; id: number }[] = [];
        for (let i = q * k; i < (q + 1) * k; i++)
          if (integer(ids)[i] >= 0) found.push({ score: real(scores)[i], id: integer(ids)[i] });
        for (let row = 0; row < count; row++) {
          if (skipped !== undefined && skipped[row] !== 0) continue;
          let sum = 0;
          for (let c = 0; c < width; c++) sum += real(query)[q * width + c] * at(row, c);
          const score = Math.fround(sum);
          if (!Number.isNaN(score)) found.push({ score, id: first + row });
        }
        found.sort((a, b) => b.score - a.score || a.id - b.id);
        for (let i = 0; i < k; i++) {
          real(scores)[q * k + i] = found[i]?.score ?? Number.NEGATIVE_INFINITY;
          integer(ids)[q * k + i] = found[i]?.id ?? -1;
        }
      }
    },
  };
}
