// Attention inside each sequence of a packed batch. No matrix of sequence x sequence is kept between the passes.
import { backend } from "../backend/index.js";
import { keeps } from "../counter-random.js";
import { isComposing, record } from "../graph.js";
import { checkShape, formatShape, sameShape } from "../shape.js";
import { empty, type Tensor, tensor } from "../tensor.js";
import { add, mul } from "./elementwise.js";
import { matmul } from "./matmul.js";
import { concat, contiguous, permute, reshape, slice } from "./movement.js";
import { checkOffsets } from "./segment.js";
import { softmax } from "./softmax.js";

export interface AttentionOptions {
  /** What scores are multiplied by. Default 1 / sqrt(headSize). */
  scale?: number;
  /** A token sees itself and what stands before it. Default false. */
  causal?: boolean;
  /** A token sees those at most this far away; 0 (default): all of its sequence. */
  window?: number;
  /** Tokens that are not 0 are seen by themselves alone. int32 [tokens]; default: none. */
  hidden?: Tensor | undefined;
  /** Share of the probabilities to drop. Default 0. */
  dropout?: number;
  /** Which probabilities are dropped; take another one at each call. */
  seed?: number;
}

interface Plan {
  heads: number;
  size: number;
  tokens: number;
  scale: number;
  causal: number;
  window: number;
  rate: number;
  seed: number;
}

function planOf(tokens: number, heads: number, size: number, options: AttentionOptions): Plan {
  const { scale = 1 / Math.sqrt(size), causal = false, window = 0, hidden, dropout = 0, seed = 0 } = options;
  checkShape(
    hidden === undefined || (hidden.dtype === "int32" && sameShape(hidden.shape, [tokens])),
    "attention",
    `int32 hidden [${tokens}]`,
    hidden === undefined ? "none" : `${hidden.dtype} ${formatShape(hidden.shape)}`,
  );
  return { tokens, heads, size, scale, causal: Number(causal), window, rate: dropout, seed };
}

/** Elements between rows of [tokens, heads, size] memory whose heads lie side by side. */
const rowStep = (x: Tensor): number => (x.rank === 3 ? x.strides[0] : x.shape[1]);

/** What the kernel reads of the rows: where sequences end and, perhaps, who is hidden. */
const listsOf = (offsets: Tensor, { hidden }: AttentionOptions): Tensor[] =>
  (hidden === undefined ? [offsets] : [offsets, hidden]).map(contiguous);

function readable(x: Tensor): Tensor {
  const [, heads, size] = x.shape;
  const side = (heads <= 1 || x.strides[1] === size) && (size <= 1 || x.strides[2] === 1);
  return side && x.strides[0] >= heads * size ? x : contiguous(x);
}

/** The definition, sequence by sequence. q, k, v: [tokens, heads, size]. */
function composedAttention(
  [q, k, v]: readonly Tensor[],
  ends: Int32Array,
  plan: Plan,
  hidden: ArrayLike<number> | undefined,
): Tensor {
  const { heads, tokens, scale, causal, window, rate, seed } = plan;
  const parts: Tensor[] = [];
  for (let s = 0; s + 1 < ends.length; s++) {
    const [start, end] = [ends[s], ends[s + 1]];
    const length = end - start;
    if (length === 0) continue;
    const part = (x: Tensor) => permute(slice(x, [{ start, end }]), [1, 0, 2]); // [heads, length, size]
    let scores = mul(matmul(part(q), permute(part(k), [0, 2, 1])), scale);
    if (causal === 1 || window > 0 || hidden !== undefined) {
      const mask = Float32Array.from({ length: length * length }, (_, at) => {
        const [i, j] = [Math.floor(at / length), at % length];
        const hides = i !== j && (hidden?.[start + j] ?? 0) !== 0;
        return hides || (causal === 1 && j > i) || (window > 0 && Math.abs(i - j) > window) ? -1e30 : 0;
      });
      scores = add(scores, tensor(mask, [length, length], q.dtype));
    }
    let probabilities = softmax(scores); // [heads, length, length]
    if (rate > 0) {
      const mask = Float32Array.from({ length: heads * length * length }, (_, at) => {
        const [h, i, j] = [Math.floor(at / length / length), Math.floor(at / length) % length, at % length];
        return keeps(seed, h * tokens + start + i, j, rate) ? 1 / (1 - rate) : 0;
      });
      probabilities = mul(probabilities, tensor(mask, [heads, length, length], q.dtype));
    }
    parts.push(permute(matmul(probabilities, part(v)), [1, 0, 2]));
  }
  return parts.length === 0 ? mul(v, 0) : contiguous(concat(parts, 0));
}

function forward(
  [q, k, v]: readonly Address[],
  [list, hidden]: readonly Tensor[],
  plan: Plan,
  like: Tensor,
): [Tensor, Tensor] {
  const { heads, size, tokens, scale, causal, window, rate, seed } = plan;
  const out = empty([tokens, heads, size], like.dtype);
  const logSums = empty([heads, tokens], like.dtype);
  if (out.size > 0) {
    backend().kernels.attentionF32(
      q.at,
      k.at,
      v.at,
      out.pointer,
      logSums.pointer,
      list.pointer,
      list.size - 1,
      tokens,
      heads,
      size,
      q.step,
      k.step,
      v.step,
      heads * size,
      scale,
      causal,
      window,
      rate,
      seed,
      hidden?.pointer ?? null,
    );
  }
  return [out, logSums];
}

interface Address {
  at: number;
  step: number;
}

/** Writes the gradients of q, k and v, which are laid out as these are. */
function backwardInto(
  [q, k, v]: readonly Address[],
  [dq, dk, dv]: readonly number[],
  [out, logSums, list, hidden]: readonly Tensor[],
  gradient: Tensor,
  plan: Plan,
): void {
  const { heads, size, tokens, scale, causal, window, rate, seed } = plan;
  if (out.size === 0) return;
  const g = contiguous(gradient);
  backend().kernels.attentionBackwardF32(
    q.at,
    k.at,
    v.at,
    out.pointer,
    logSums.pointer,
    g.pointer,
    dq,
    dk,
    dv,
    list.pointer,
    list.size - 1,
    tokens,
    heads,
    size,
    q.step,
    k.step,
    v.step,
    heads * size,
    heads * size,
    scale,
    causal,
    window,
    rate,
    seed,
    hidden?.pointer ?? null,
  );
}

/**
 * softmax(scale q k^T) v inside each sequence.
 *
 * @param q [tokens, heads, headSize]; views of a wider matrix run without a copy
 * @param k as q
 * @param v as q
 * @param offsets int32 [sequences + 1]: sequence s holds rows offsets[s] up to offsets[s + 1]
 * @returns [tokens, heads, headSize]
 * @throws SHAPE_MISMATCH, OFFSETS
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, offsets: Tensor, options: AttentionOptions = {}): Tensor {
  checkShape(q.rank === 3, "attention", "[tokens, heads, headSize]", formatShape(q.shape));
  checkShape(
    sameShape(q.shape, k.shape) && sameShape(q.shape, v.shape),
    "attention",
    `keys and values ${formatShape(q.shape)}`,
    `${formatShape(k.shape)} and ${formatShape(v.shape)}`,
  );
  const [tokens, heads, size] = q.shape;
  const ends = checkOffsets("attention", offsets, tokens);
  const plan = planOf(tokens, heads, size, options);
  if (isComposing()) return composedAttention([q, k, v], ends, plan, options.hidden?.toTypedArray());
  const inputs = [q, k, v].map(readable);
  const lists = listsOf(offsets, options);
  const addresses = (tensors: readonly Tensor[]): Address[] =>
    tensors.map((x) => ({ at: x.pointer, step: rowStep(x) }));
  const [out, logSums] = forward(addresses(inputs), lists, plan, q);
  const [output] = record({
    name: "attention",
    inputs,
    outputs: [out],
    save: [...inputs, out, logSums, ...lists],
    differentiable: false,
    backward([g], { saved }) {
      if (g === undefined) return [];
      // The kernel lays gradients out as their inputs: give it contiguous copies of strided ones.
      const solid = saved.slice(0, 3).map(contiguous);
      const gradients = solid.map((x) => empty(x.shape, x.dtype));
      backwardInto(
        addresses(solid),
        gradients.map((x) => x.pointer),
        saved.slice(3),
        g,
        plan,
      );
      return gradients;
    },
  });
  logSums.dispose();
  return output;
}

/**
 * Attention on the result of one product for queries, keys and values.
 *
 * @param qkv [tokens, 3 x heads x headSize]: queries, then keys, then values of a token
 * @param offsets int32 [sequences + 1]
 * @returns [tokens, heads x headSize]
 * @throws SHAPE_MISMATCH, OFFSETS
 */
export function selfAttention(
  qkv: Tensor,
  offsets: Tensor,
  { heads, ...options }: AttentionOptions & { heads: number },
): Tensor {
  checkShape(
    qkv.rank === 2 && Number.isInteger(heads) && heads > 0 && qkv.shape[1] % (3 * heads) === 0,
    "selfAttention",
    `[tokens, 3 x ${heads} heads x headSize]`,
    formatShape(qkv.shape),
  );
  const [tokens, width] = qkv.shape;
  const hidden = width / 3;
  const size = hidden / heads;
  const ends = checkOffsets("selfAttention", offsets, tokens);
  const plan = planOf(tokens, heads, size, options);
  if (isComposing()) {
    const part = (i: number) =>
      reshape(contiguous(slice(qkv, [{}, { start: i * hidden, end: (i + 1) * hidden }])), [tokens, heads, size]);
    return reshape(composedAttention([0, 1, 2].map(part), ends, plan, options.hidden?.toTypedArray()), [
      tokens,
      hidden,
    ]);
  }
  const source = contiguous(qkv);
  const lists = listsOf(offsets, options);
  const thirds = (x: Tensor): Address[] => {
    const bytes = x.dtype === "float64" ? 8 : 4;
    return [0, 1, 2].map((i) => ({ at: x.pointer + i * hidden * bytes, step: width }));
  };
  const [out, logSums] = forward(thirds(source), lists, plan, qkv);
  const [output] = record({
    name: "selfAttention",
    inputs: [source],
    outputs: [out],
    save: [source, out, logSums, ...lists],
    differentiable: false,
    backward([g], { saved }) {
      if (g === undefined) return [];
      const gradient = empty([tokens, width], qkv.dtype);
      const places = thirds(gradient).map(({ at }) => at);
      backwardInto(thirds(saved[0]), places, saved.slice(1), g, plan);
      return [gradient];
    },
  });
  logSums.dispose();
  return reshape(output, [tokens, hidden]);
}
