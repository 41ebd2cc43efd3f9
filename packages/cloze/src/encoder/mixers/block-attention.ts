// Attention of blocks of queries to chosen keys, from primitive operations: what windows, global tokens and blocks share.
// Time and memory grow with queries x keys of the blocks, not with the square of the sequence.
import {
  add,
  concat,
  contiguous,
  dropout,
  matmul,
  mul,
  permute,
  reshape,
  scope,
  softmax,
  type Tensor,
  take,
  tensor,
  zeros,
} from "@cloze/tensor";

/** One block before it is planned. */
export interface QueryBlock {
  /** Rows that look. */
  readonly queries: ArrayLike<number>;
  /** Rows that they look at, for each head (or once, where all heads look at the same); a row counts as often as it is named. */
  readonly keys: readonly ArrayLike<number>[];
  /** How often the first so many of the keys count. Default: once, as all others. */
  readonly repeated?: { readonly keys: number; readonly times: number };
}

/** Blocks as plain data; `planBlocks` makes it. */
export interface BlockPlan {
  readonly blocks: number;
  /** Slots of a block, and the keys that they look at. */
  readonly queries: number;
  readonly keys: number;
  /** How many lists of keys a block has: 1 or the number of heads. */
  readonly lists: number;
  /** [blocks x queries]; -1: the slot is not used. */
  readonly queryRows: Int32Array;
  /** [blocks x lists x keys]; a slot that is not used holds row 0. */
  readonly keyRows: Int32Array;
  /** Added to the scores. [blocks x lists x 1 x keys], or [blocks x 1 x queries x keys] where `hides` was given. */
  readonly penalties: Float32Array;
  readonly perQuery: boolean;
}

const hidden = -1e30;

/**
 * Plans blocks together. All get the slots of the largest; those left over look at nothing, and nobody looks at them.
 *
 * @param hides whether a query may not look at one of the keys of its block, by rows; then the heads have one list, and
 * nothing is repeated
 */
export function planBlocks(blocks: readonly QueryBlock[], hides?: (query: number, key: number) => boolean): BlockPlan {
  const lists = blocks[0]?.keys.length ?? 1;
  const queries = blocks.reduce((most, block) => Math.max(most, block.queries.length), 0);
  const keys = blocks.reduce((most, block) => Math.max(most, ...block.keys.map(({ length }) => length)), 0);
  const queryRows = new Int32Array(blocks.length * queries).fill(-1);
  const keyRows = new Int32Array(blocks.length * lists * keys);
  const perQuery = hides !== undefined;
  const penalties = new Float32Array(blocks.length * (perQuery ? queries : lists) * keys).fill(hidden);
  blocks.forEach((block, b) => {
    queryRows.set(block.queries, b * queries);
    block.keys.forEach((list, l) => {
      const at = (b * lists + l) * keys;
      keyRows.set(list, at);
      if (perQuery) return;
      penalties.fill(0, at, at + list.length);
      if (block.repeated !== undefined) {
        penalties.fill(Math.log(block.repeated.times), at, at + Math.min(block.repeated.keys, list.length));
      }
    });
    if (hides === undefined) return;
    const [list] = block.keys;
    for (let i = 0; i < block.queries.length; i++) {
      const at = (b * queries + i) * keys;
      for (let j = 0; j < list.length; j++) if (!hides(block.queries[i], list[j])) penalties[at + j] = 0;
    }
  });
  return { blocks: blocks.length, queries, keys, lists, queryRows, keyRows, penalties, perQuery };
}

export interface BlockAttentionOptions {
  readonly heads: number;
  /** Share of the probabilities to drop. Default 0. */
  readonly dropout?: number;
  readonly seed?: number;
}

/** Scores that are in memory at once where no gradient is recorded, as a number of elements. */
const chunkElements = 4e6;

/** Rows of [tokens, heads * size] by heads: the rows of a table [tokens * heads, size], for [blocks x heads x slots]. */
function rowsByHead(rows: Int32Array, blocks: number, lists: number, slots: number, heads: number): Tensor {
  const all = new Int32Array(blocks * heads * slots);
  for (let b = 0, to = 0; b < blocks; b++) {
    for (let h = 0; h < heads; h++) {
      const from = (b * lists + (lists === 1 ? 0 : h)) * slots;
      for (let i = 0; i < slots; i++, to++) all[to] = Math.max(0, rows[from + i]) * heads + h;
    }
  }
  return tensor(all, [blocks * heads, slots]);
}

/** Blocks `from` to `to` of a plan. q, k, v: [tokens * heads, size] -> [blocks * queries, heads * size] */
function attendChunk(
  [q, k, v]: readonly Tensor[],
  plan: BlockPlan,
  from: number,
  to: number,
  { heads, dropout: rate = 0, seed = 0 }: BlockAttentionOptions,
): Tensor {
  const { queries, keys, lists, perQuery } = plan;
  const blocks = to - from;
  const size = q.shape[1];
  const part = <Rows extends Int32Array | Float32Array>(values: Rows, width: number): Rows =>
    values.subarray(from * width, to * width) as Rows;
  const keyRows = rowsByHead(part(plan.keyRows, lists * keys), blocks, lists, keys, heads);
  const asking = take(q, rowsByHead(part(plan.queryRows, queries), blocks, 1, queries, heads));
  const scores = matmul(mul(asking, 1 / Math.sqrt(size)), permute(take(k, keyRows), [0, 2, 1]));
  const shape = perQuery ? [blocks, 1, queries, keys] : [blocks, lists, 1, keys];
  const penalties = tensor(part(plan.penalties, shape[1] * shape[2] * keys), shape, q.dtype);
  const masked = reshape(add(reshape(scores, [blocks, heads, queries, keys]), penalties), scores.shape);
  const mixed = matmul(dropout(softmax(masked), rate, seed), take(v, keyRows)); // [blocks * heads, queries, size]
  const together = permute(reshape(mixed, [blocks, heads, queries, size]), [0, 2, 1, 3]);
  return reshape(contiguous(together), [blocks * queries, heads * size]);
}

/**
 * softmax(q k^T / sqrt(size)) v for the rows that the plans name; a row that none names becomes 0.
 *
 * @param q [rows, heads * size]
 * @param k [tokens, heads * size]
 * @param v as k
 * @returns [rows, heads * size]
 */
export function attendBlocks(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  plans: readonly BlockPlan[],
  options: BlockAttentionOptions,
): Tensor {
  const { heads, seed = 0 } = options;
  const [rows, width] = q.shape;
  if (k.shape[0] === 0) return mul(q, 0);
  const tables = [q, k, v].map((x) => reshape(contiguous(x), [-1, width / heads]));
  const recorded = tables.some((table) => table.requiresGrad);
  const places = new Int32Array(rows).fill(-1);
  const parts: Tensor[] = [];
  let slots = 0;
  for (const plan of plans) {
    const { blocks, queries, keys, queryRows } = plan;
    queryRows.forEach((row, slot) => {
      if (row >= 0) places[row] = slots + slot;
    });
    slots += queryRows.length;
    // With gradients all probabilities are kept anyway, and each chunk would have gradients as large as the tables.
    const step = recorded ? blocks : Math.max(1, Math.floor(chunkElements / (heads * queries * keys)));
    for (let from = 0; from < blocks; from += step) {
      const to = Math.min(blocks, from + step);
      const settings = { ...options, seed: seed + parts.length };
      parts.push(scope(() => attendChunk(tables, plan, from, to, settings)));
    }
  }
  if (parts.length === 0) return mul(q, 0);
  if (places.includes(-1)) parts.push(zeros([1, width], q.dtype));
  const mixed = parts.length === 1 ? parts[0] : concat(parts, 0);
  return take(mixed, tensor(places.map((place) => (place < 0 ? slots : place))));
}
