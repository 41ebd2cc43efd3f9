import { keeps } from "../../counter-random.js";
import type { EmbeddingKernels } from "../contract/embedding.js";
import type { ReferenceMemory } from "./memory.js";

export function embeddingKernels({ real, integer }: ReferenceMemory): EmbeddingKernels {
  return {
    gatedRowsF32(table, indices, gate, gateIndices, y, count, width, rate, seed) {
      const [a, b, to, rows, gates] = [real(table), real(gate), real(y), integer(indices), integer(gateIndices)];
      for (let i = 0; i < count; i++) {
        const keep = rate === 0 || keeps(seed, i, 0, rate) ? 1 : 0;
        for (let c = 0; c < width; c++) to[i * width + c] = a[rows[i] * width + c] * b[gates[i] * width + c] * keep;
      }
    },
    gatedRowsBackwardF32(table, indices, gate, gateIndices, gy, gtable, ggate, count, width, rate, seed) {
      const [a, b, g, rows, gates] = [real(table), real(gate), real(gy), integer(indices), integer(gateIndices)];
      const forTable = gtable === null ? undefined : real(gtable);
      const forGate = ggate === null ? undefined : real(ggate);
      for (let i = 0; i < count; i++) {
        if (rate > 0 && !keeps(seed, i, 0, rate)) continue;
        for (let c = 0; c < width; c++) {
          const [at, atGate] = [rows[i] * width + c, gates[i] * width + c];
          if (forTable !== undefined) forTable[at] += g[i * width + c] * b[atGate];
          if (forGate !== undefined) forGate[atGate] += g[i * width + c] * a[at];
        }
      }
    },
  };
}
