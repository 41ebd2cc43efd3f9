// From a batch of texts to the value of a loss.
import { add, concat, segmentMean, slice, type Tensor, tensor } from "@cloze/tensor";
import { normalize as applyFinalNorm } from "../../encoder/norm.js";
import { cachedLoss, normalizeRows } from "../../objectives/contrastive.js";
import { type RouterLossWeights, routerLoss } from "../../objectives/router-losses.js";
import type { StepContext } from "../../training/trainer.js";
import type { TextBatch, TrainableEncoder } from "../embedder.js";
import type { EmbeddingLoss, LossInput } from "../losses/index.js";
import { type EmbeddingBatch, sliceBatch } from "./batches.js";
import type { EmbeddingRow } from "./rows.js";

/** Texts of rows, column by column as their vectors are. */
const textColumns = (rows: readonly EmbeddingRow[], positions: Int32Array): string[][] => {
  const texts = Array.from(positions, (i) => rows[i].texts);
  const columns = [0, 1].map((column) => texts.flatMap((row) => (row.length > column ? [row[column]] : [])));
  return [...columns, texts.flatMap((row) => row.slice(2))].filter((column) => column.length > 0);
};

/** The columns of [rows, width], one after the other. */
function columnsOf(rows: Tensor, counts: readonly number[]): Tensor[] {
  if (counts.length === 1) return [rows];
  const ends = counts.map((_, i) => counts.slice(0, i + 1).reduce((sum, count) => sum + count, 0));
  return counts.map((count, i) => slice(rows, [{ start: ends[i] - count, end: ends[i] }]));
}

/** The columns of a batch; several rows a text where there are offsets. */
const shaped = (all: Tensor, batch: EmbeddingBatch, offsets?: readonly Int32Array[]) => ({
  columns: columnsOf(all, offsets?.map((column) => column[column.length - 1]) ?? batch.counts),
  ...(offsets === undefined ? {} : { offsets }),
});

/** The forward passes of a batch, and what they give a loss: at once, or in chunks. */
export function lossRunner(
  embedder: TrainableEncoder,
  rows: readonly EmbeddingRow[],
  loss: EmbeddingLoss,
  { depth, router }: { readonly depth?: number; readonly router?: RouterLossWeights },
) {
  const { encoder } = embedder.model;
  // Tensor are normalised as the embedder does it, unless that changes nothing.
  const finish = (x: Tensor) => (embedder.options.normalize && !loss.scaleInvariant ? normalizeRows(x) : x);
  const { rowOffsets } = embedder;
  /** Where the rows of each text begin, column by column. */
  const offsetsOf = (batch: EmbeddingBatch): Int32Array[] | undefined => {
    if (rowOffsets === undefined) return undefined;
    const lengths = batch.parts.flatMap((part) => {
      const offsets = rowOffsets(part);
      return Array.from(offsets.subarray(1), (end, s) => end - offsets[s]);
    });
    return batch.counts.map((count) => {
      let end = 0;
      return Int32Array.from([0, ...lengths.splice(0, count).map((length) => (end += length))]);
    });
  };
  const input = (batch: EmbeddingBatch, all: Tensor, { step, seed }: StepContext): LossInput => ({
    ...shaped(all, batch, offsetsOf(batch)),
    labels: batch.labels,
    labelWidth: batch.labelWidth,
    seed,
    step,
    ...(loss.needs?.texts ? { texts: textColumns(rows, batch.positions) } : {}),
  });
  const embed = (batch: TextBatch, seed: number) => finish(embedder.embedBatch(batch, { training: true, seed, depth }));
  const join = (parts: readonly Tensor[]) => (parts.length === 1 ? parts[0] : concat(parts, 0));
  /** After each layer, the last one last: [rows, width] */
  const embedDepths = (batch: TextBatch, seed: number): Tensor[] => {
    const { hiddenStates = [], beforeFinalNorm } = encoder.forward(batch, { training: true, seed, hiddenStates: true });
    return hiddenStates.map((state, i) => {
      const isLast = i === hiddenStates.length - 1;
      const normed =
        isLast || beforeFinalNorm === undefined
          ? state
          : applyFinalNorm(state, encoder.parameters, "finalNorm", encoder.config);
      return finish(embedder.poolTokens(normed, batch));
    });
  };
  /** The loss, and what routers are asked about the same texts. */
  const withRouter = (batch: EmbeddingBatch, context: StepContext, weights: RouterLossWeights): Tensor => {
    const { seed } = context;
    const parts = batch.parts.map((part, place) => {
      const how = { training: true, seed: partSeed(seed, place), depth, routerLogits: true };
      const { hidden, routerLogits = [] } = encoder.forward(part, how);
      const sequences = part.offsets.length - 1;
      const perText = routerLogits.map((logits) =>
        logits.shape[0] === sequences ? logits : segmentMean(logits, tensor(part.offsets)),
      );
      return { vectors: finish(embedder.poolTokens(hidden, part)), perText, fields: part.routes ?? new Int32Array(0) };
    });
    const value = loss.forward(input(batch, join(parts.map(({ vectors }) => vectors)), context));
    const layers = parts[0].perText.map((_, layer) => join(parts.map(({ perText }) => perText[layer])));
    const asked = routerLoss(layers, Int32Array.from(parts.flatMap(({ fields }) => Array.from(fields))), weights);
    return asked === undefined ? value : add(value, asked);
  };
  const partSeed = (seed: number, place: number) => (seed * 31 + place) | 0;
  return {
    plain(batch: EmbeddingBatch, context: StepContext): Tensor {
      const { seed } = context;
      if (router !== undefined) return withRouter(batch, context, router);
      if (!loss.needs?.depths) {
        const all = join(batch.parts.map((part, place) => embed(part, partSeed(seed, place))));
        return loss.forward(input(batch, all, context));
      }
      const parts = batch.parts.map((part, place) => embedDepths(part, partSeed(seed, place)));
      const depths = parts[0].map((_, layer) => join(parts.map((part) => part[layer])));
      const last = depths.pop() as Tensor;
      return loss.forward({
        ...input(batch, last, context),
        depths: depths.map((layer) => columnsOf(layer, batch.counts)),
      });
    },
    inChunks(batch: EmbeddingBatch, context: StepContext, size: number): number {
      const { seed } = context;
      const pieces = batch.parts.flatMap((part) => {
        const sequences = part.offsets.length - 1;
        return Array.from({ length: Math.ceil(sequences / size) }, (_, i) =>
          sliceBatch(part, i * size, Math.min(sequences, (i + 1) * size)),
        );
      });
      return cachedLoss(
        pieces.length,
        (i) => embed(pieces[i], partSeed(seed, i)),
        (all) => loss.forward(input(batch, all, context)),
        loss.parameters?.values(),
      );
    },
  };
}
