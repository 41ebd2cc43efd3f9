// Losses over vectors of texts, by name. A new one is a file and a line here.
import { parseConfig } from "../../encoder/registry.js";
import { ClozeError } from "../../errors.js";
import { angle } from "./angle.js";
import { batchAllTriplet } from "./batch-all-triplet.js";
import { batchHardTriplet } from "./batch-hard-triplet.js";
import { batchSemiHardTriplet } from "./batch-semi-hard-triplet.js";
import { colbert } from "./colbert.js";
import { contrastive } from "./contrastive.js";
import { cosent } from "./cosent.js";
import { cosine } from "./cosine.js";
import { gist } from "./gist.js";
import type { EmbeddingLoss, EmbeddingLossKind, LossConfig, LossSetup, RowShape } from "./loss.js";
import { marginMse } from "./margin-mse.js";
import { matryoshka } from "./matryoshka.js";
import { matryoshka2d } from "./matryoshka-2d.js";
import { mse } from "./mse.js";
import { multipleNegatives } from "./multiple-negatives.js";
import { multipleNegativesPlus } from "./multiple-negatives-plus.js";
import { onlineContrastive } from "./online-contrastive.js";
import { pairMatching } from "./pair-matching.js";
import { softmaxClassifier } from "./softmax.js";
import { splade } from "./splade.js";
import { triplet } from "./triplet.js";

export const embeddingLosses: readonly EmbeddingLossKind[] = [
  multipleNegatives,
  multipleNegativesPlus,
  gist,
  cosent,
  angle,
  cosine,
  softmaxClassifier,
  triplet,
  batchHardTriplet,
  batchSemiHardTriplet,
  batchAllTriplet,
  contrastive,
  onlineContrastive,
  pairMatching,
  marginMse,
  mse,
  matryoshka,
  matryoshka2d,
  splade,
  colbert,
];

/** The kind of a loss. @throws LOSS_UNKNOWN */
export function lossKind(config: LossConfig): EmbeddingLossKind {
  const name = typeof config === "string" ? config : config.type;
  const found = embeddingLosses.find(({ type, aliases = [] }) => type === name || aliases.includes(name));
  if (found !== undefined) return found;
  throw new ClozeError("LOSS_UNKNOWN", `There is no loss of the name "${name}"`, {
    expected: embeddingLosses.map(({ type }) => type).join(", "),
  });
}

/** A loss that wraps another one gives that one's kind; any other its own. */
export function innermostKind(config: LossConfig): EmbeddingLossKind {
  const kind = lossKind(config);
  if (kind.rows !== "any") return kind;
  const base = typeof config === "string" ? undefined : (config.base as LossConfig | undefined);
  return innermostKind(base ?? "multiple-negatives");
}

/** What rows a loss takes. */
export const rowsOfLoss = (config: LossConfig): RowShape => innermostKind(config).rows as RowShape;

/** False for a loss that cannot be computed in parts. */
export const isCacheable = (config: LossConfig): boolean =>
  (lossKind(config).cacheable ?? true) && (innermostKind(config).cacheable ?? true);

/**
 * Makes a loss ready.
 *
 * @throws LOSS_UNKNOWN, LOSS_OPTIONS, and what the loss throws about its setup
 * @example
 * const loss = createLoss({ type: "matryoshka", base: "cosent", dims: [384, 64] }, { width: 384, layers: 6, seed: 1 });
 */
export function createLoss(config: LossConfig, setup: Omit<LossSetup, "base">): EmbeddingLoss {
  const kind = lossKind(config);
  const { type: _, ...options } = typeof config === "string" ? { type: config } : config;
  const settings = parseConfig(kind.options, options, `The options of ${kind.type}`, "LOSS_OPTIONS");
  return kind.create(settings, { ...setup, base: (inner) => createLoss(inner, setup) });
}

export type { EmbeddingLoss, EmbeddingLossKind, LossConfig, LossInput, LossSetup, RowShape } from "./loss.js";
