import { keeps } from "../../counter-random.js";
import type { AttentionKernels } from "../contract/network.js";
import type { ReferenceMemory } from "./memory.js";

/** The plain definition: all scores of a row at once. */
export function attentionKernels({ real, integer }: ReferenceMemory): AttentionKernels {
  const sees = (i: number, j: number, causal: number, window: number, hides?: ArrayLike<number>) =>
    !(causal === 1 && j > i) && !(window > 0 && Math.abs(i - j) > window) && (i === j || (hides?.[j] ?? 0) === 0);
  return {
    attentionF32(
      q,
      k,
      v,
      out,
      logSums,
      offsets,
      sequences,
      tokens,
      heads,
      size,
      ldq,
      ldk,
      ldv,
      ldo,
      scale,
      causal,
      window,
      rate,
      seed,
      hidden,
    ) {
      const [query, key, value, to, sums, ends] = [
        real(q),
        real(k),
        real(v),
        real(out),
        real(logSums),
        integer(offsets),
      ];
      const hides = hidden === null ? undefined : integer(hidden);
      for (let s = 0; s < sequences; s++) {
        for (let h = 0; h < heads; h++) {
          for (let i = ends[s]; i < ends[s + 1]; i++) {
            const scores: number[] = [];
            for (let j = ends[s]; j < ends[s + 1]; j++) {
              let dot = 0;
              for (let c = 0; c < size; c++) dot += query[i * ldq + h * size + c] * key[j * ldk + h * size + c];
              scores.push(sees(i, j, causal, window, hides) ? dot * scale : Number.NEGATIVE_INFINITY);
            }
            const largest = Math.max(...scores);
            const logSum = largest + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - largest), 0));
            sums[h * tokens + i] = logSum;
            for (let c = 0; c < size; c++) to[i * ldo + h * size + c] = 0;
            scores.forEach((score, place) => {
              if (rate > 0 && !keeps(seed, h * tokens + i, place, rate)) return;
              const p = Math.exp(score - logSum) / (1 - rate);
              const row = (ends[s] + place) * ldv + h * size;
              for (let c = 0; c < size; c++) to[i * ldo + h * size + c] += p * value[row + c];
            });
          }
        }
      }
    },
    attentionRelativeF32(
      q,
      k,
      v,
      out,
      logSums,
      offsets,
      sequences,
      tokens,
      heads,
      size,
      ldq,
      ldk,
      ldv,
      ldo,
      scale,
      bias,
      keys,
      queries,
      span,
    ) {
      const [query, key, value] = [real(q), real(k), real(v)];
      const [to, sums, ends] = [real(out), real(logSums), integer(offsets)];
      const table = (of: typeof bias) => (of === null ? undefined : real(of));
      const [added, byQuery, byKey] = [table(bias), table(keys), table(queries)];
      for (let s = 0; s < sequences; s++) {
        for (let h = 0; h < heads; h++) {
          for (let i = ends[s]; i < ends[s + 1]; i++) {
            const scores: number[] = [];
            for (let j = ends[s]; j < ends[s + 1]; j++) {
              const row = j - i + span - 1;
              let score = added?.[row * heads + h] ?? 0;
              for (let c = h * size; c < (h + 1) * size; c++) {
                const [a, b] = [query[i * ldq + c], key[j * ldk + c]];
                const at = row * heads * size + c;
                score += a * b + a * (byQuery?.[at] ?? 0) + b * (byKey?.[at] ?? 0);
              }
              scores.push(score * scale);
            }
            const largest = Math.max(...scores);
            const logSum = largest + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - largest), 0));
            sums[h * tokens + i] = logSum;
            for (let c = h * size; c < (h + 1) * size; c++) {
              to[i * ldo + c] = scores.reduce(
                (sum, score, place) => sum + Math.exp(score - logSum) * value[(ends[s] + place) * ldv + c],
                0,
              );
            }
          }
        }
      }
    },
    attentionBackwardF32(
      q,
      k,
      v,
      _out,
      logSums,
      dout,
      dq,
      dk,
      dv,
      offsets,
      sequences,
      tokens,
      heads,
      size,
      ldq,
      ldk,
      ldv,
      _ldo,
      ldd,
      scale,
      causal,
      window,
      rate,
      seed,
      hidden,
    ) {
      const [query, key, value, sums, gradient] = [real(q), real(k), real(v), real(logSums), real(dout)];
      const [forQuery, forKey, forValue, ends] = [real(dq), real(dk), real(dv), integer(offsets)];
      const hides = hidden === null ? undefined : integer(hidden);
      const clear = (to: ReturnType<typeof real>, ld: number) => {
        for (let t = ends[0]; t < ends[sequences]; t++) to.fill(0, t * ld, t * ld + heads * size);
      };
      clear(forQuery, ldq);
      clear(forKey, ldk);
      clear(forValue, ldv);
      for (let s = 0; s < sequences; s++) {
        for (let h = 0; h < heads; h++) {
          for (let i = ends[s]; i < ends[s + 1]; i++) {
            const rows: { j: number; p: number; dp: number }[] = [];
            let along = 0;
            for (let j = ends[s]; j < ends[s + 1]; j++) {
              if (!sees(i, j, causal, window, hides)) continue;
              let dot = 0;
              let dp = 0;
              const keep = rate === 0 || keeps(seed, h * tokens + i, j - ends[s], rate);
              for (let c = 0; c < size; c++) {
                dot += query[i * ldq + h * size + c] * key[j * ldk + h * size + c];
                dp += gradient[i * ldd + h * size + c] * value[j * ldv + h * size + c];
              }
              const p = Math.exp(dot * scale - sums[h * tokens + i]);
              dp = keep ? dp / (1 - rate) : 0;
              along += p * dp;
              rows.push({ j, p, dp });
              if (!keep) continue;
              for (let c = 0; c < size; c++) {
                forValue[j * ldv + h * size + c] += (p / (1 - rate)) * gradient[i * ldd + h * size + c];
              }
            }
            for (const { j, p, dp } of rows) {
              const ds = p * (dp - along) * scale;
              for (let c = 0; c < size; c++) {
                forQuery[i * ldq + h * size + c] += ds * key[j * ldk + h * size + c];
                forKey[j * ldk + h * size + c] += ds * query[i * ldq + h * size + c];
              }
            }
          }
        }
      }
    },
  };
}
