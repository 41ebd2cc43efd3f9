// N-grams as units of masked language modelling (ERNIE-Gram, arXiv 2010.12148).
import {
  add,
  binaryCrossEntropy,
  concat,
  crossEntropy,
  linear,
  mul,
  reshape,
  type Tensor,
  take,
  tensor,
} from "@cloze/tensor";
import { z } from "zod";
import type { PackedBatch } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import type { EncoderConfig } from "../encoder/config.js";
import { bindEmbeddings } from "../encoder/embeddings/index.js";
import { encoderFlops } from "../encoder/flops.js";
import { bindMixer } from "../encoder/mixers/index.js";
import { createParameters, lookUp, prefixed } from "../encoder/parameters.js";
import { deriveSeed } from "../encoder/seeds.js";
import { denseSpecs } from "../heads/head.js";
import { createGenerator, generatorEncoder } from "./generator/generator.js";
import { sampleRows } from "./generator/sample.js";
import { headFlops } from "./head-flops.js";
import { loadNgramLexicon, type NgramEntry, type NgramLexicon, ngramLexicon, standsIn } from "./ngrams/lexicon.js";
import { hidePieces, hideTokens, type PieceBatch, withPlaceholders } from "./ngrams/segments.js";
import { cannotCombine, defineObjective, lossOf } from "./objective.js";

const type = "ngram-language";
const entrySchema = z.object({
  ids: z.array(z.int().min(0)).min(2),
  count: z.int().default(1),
  score: z.number().default(0),
});

const schema = z.strictObject({
  type: z.literal(type),
  lexicon: z
    .union([z.string().min(1), z.array(entrySchema)], {
      error: "expected an n-gram lexicon: `cloze lexicon` makes one",
    })
    .describe("the file of an n-gram lexicon (cloze lexicon makes one)"),
  mode: z
    .enum(["contiguous", "explicit", "comprehensive", "enhanced"])
    .default("comprehensive")
    .describe(
      "contiguous: a [MASK] for each token; explicit: one for the n-gram, its identity is asked; comprehensive: its tokens too; enhanced: a generator proposes n-grams",
    ),
  rate: z.number().gt(0).lt(1).default(0.15).describe("share of the pieces that are hidden (0.15)"),
  outputWidth: z.int().min(1).default(128).describe("width of the n-grams' output vectors (128)"),
  generatorWidth: z
    .number()
    .gt(0)
    .max(1)
    .default(0.25)
    .describe("enhanced: width of the generator as a share of the encoder's (0.25)"),
  detectionWeight: z
    .number()
    .min(0)
    .default(1)
    .describe("enhanced: what the loss of replaced pieces is multiplied by (1)"),
});
type Config = z.output<typeof schema>;

const hasPlaceholders = ({ mode }: Pick<Config, "mode">): boolean => mode === "comprehensive" || mode === "enhanced";

/** Options of a generator for n-grams; which tokens it hides is not its business. */
const generatorOptions = ({ generatorWidth }: Pick<Config, "generatorWidth">) => ({
  rate: 0.15,
  unit: "token" as const,
  meanSpan: 3.8,
  maximumSpan: 10,
  maskShare: 1,
  generatorWidth,
  sharing: "embeddings" as const,
  temperature: 1,
});

/** @throws OBJECTIVE_COMBINATION where placeholders would be seen */
function checkPlaceholders(encoder: EncoderConfig): void {
  const seen = encoder.layers.find(({ mixer, parallel }) =>
    [mixer, ...(parallel === undefined ? [] : [parallel])].some(
      (part) => bindMixer(part, encoder.hiddenSize, encoder).hides !== true,
    ),
  );
  const gated = "positions" in encoder.embeddings && encoder.embeddings.positions === "gated";
  if (seen === undefined && !gated) return;
  throw cannotCombine("Placeholders for the tokens of n-grams must not be seen by other tokens", {
    expected: "attention to all of a sequence in every layer",
    received: gated ? "gated positions" : `a mixer "${seen?.mixer.type}" that sees by distance, or all tokens`,
    remedy: 'Use mode "explicit", which has no placeholders: --set mode=explicit.',
  });
}

/** The n-grams' side of a softmax over tokens and n-grams. */
function createNgramOutput(
  prefix: string,
  count: number,
  hiddenSize: number,
  width: number,
  range: number,
  seed: number,
) {
  const specs =
    count === 0
      ? []
      : prefixed(prefix, [...denseSpecs("projection", width, hiddenSize), ...denseSpecs("output", count, width)]);
  const parameters = createParameters(specs, { seed: deriveSeed(seed, prefix) }, range);
  const dense = (name: string, x: Tensor): Tensor =>
    linear(x, lookUp(parameters, `${prefix}.${name}.weight`), lookUp(parameters, `${prefix}.${name}.bias`));
  return {
    parameters,
    /** Tokens, then n-grams. tokens: [rows, vocabulary], hidden: [rows, hidden] -> [rows, vocabulary + n-grams] */
    logits: (tokens: Tensor, hidden: Tensor): Tensor =>
      count === 0 ? tokens : concat([tokens, dense("output", dense("projection", hidden))], 1),
    flops: (rows: number): number => (count === 0 ? 0 : 2 * rows * width * (hiddenSize + count)),
  };
}

/** How a model runs for a loss. */
interface Forward {
  readonly seed: number;
  readonly recompute: boolean;
  readonly training: boolean;
}

const lexiconOf = (given: string | readonly NgramEntry[]): NgramLexicon =>
  typeof given === "string" ? loadNgramLexicon(given) : ngramLexicon(given);

export const ngramLanguage = defineObjective({
  schema,
  description: "predict n-grams of a lexicon behind one [MASK] each (ERNIE-Gram, arXiv 2010.12148)",
  aliases: { "ngram-mlm": {}, "ernie-gram": {} },
  input: "sequences",
  architecture: "ForMaskedLM",
  heads: ["masked-language", "pretraining"],
  check(config, encoder) {
    if (hasPlaceholders(config)) checkPlaceholders(encoder);
    if (config.mode === "enhanced") generatorEncoder(encoder, generatorOptions(config));
  },
  create(config, frame) {
    const { model, vocabulary, seed } = frame;
    const lexicon = lexiconOf(config.lexicon);
    const count = config.mode === "contiguous" ? 0 : lexicon.entries.length;
    const { vocabularySize, hiddenSize, initializerRange } = model.encoder.config;
    const outside = lexicon.entries.find(({ ids }) => ids.some((id) => id >= vocabularySize));
    if (outside !== undefined) {
      throw cannotCombine("The lexicon was made with another tokenizer", {
        expected: `ids below ${vocabularySize}`,
        received: outside.ids.join(", "),
      });
    }
    if (lexicon.entries.length > 0 && frame.texts !== undefined && !standsIn(lexicon, frame.texts())) {
      frame.warnings?.add(
        "LEXICON_UNUSED",
        "n-grams of the lexicon, of which none stands in these texts; tokens are hidden one by one",
        typeof config.lexicon === "string" ? config.lexicon : "the lexicon",
        lexicon.entries.length,
      );
    }
    const enhanced = config.mode === "enhanced";
    const placeholders = hasPlaceholders(config) ? lexicon.longest : 0;
    const output = createNgramOutput(`${type}.ngrams`, count, hiddenSize, config.outputWidth, initializerRange, seed);
    // Rows beside the word table: placeholders, and n-grams where they are read.
    const extra = placeholders + (enhanced ? count : 0);
    const width = bindEmbeddings(model.encoder.config.embeddings, model.encoder.config).wordWidth;
    const beside = createParameters(
      [
        ...(extra > 0 ? [{ name: `${type}.words.weight`, shape: [extra, width], initial: "normal" as const }] : []),
        ...(enhanced ? prefixed(`${type}.detector`, denseSpecs("output", 1, hiddenSize)) : []),
      ],
      { seed: deriveSeed(seed, type) },
      initializerRange,
    );
    const extraWords = beside.get(`${type}.words.weight`);
    const generator = enhanced ? createGenerator(`${type}.generator`, generatorOptions(config), frame) : undefined;
    const guess =
      generator === undefined
        ? undefined
        : createNgramOutput(
            `${type}.guess`,
            count,
            generator.config.hiddenSize,
            Math.min(config.outputWidth, generator.config.hiddenSize),
            initializerRange,
            seed,
          );
    const all = new Map([
      ...output.parameters,
      ...beside,
      ...(generator?.parameters ?? []),
      ...(guess?.parameters ?? []),
    ]);
    // N-grams that are read stand behind the placeholders.
    const readId = (identity: number): number => (identity < vocabularySize ? identity : identity + placeholders);

    /** What the generator guesses for each piece, and its loss. */
    function propose({ batch, chosen }: PieceBatch, how: Forward) {
      const { seed: at, recompute, training } = how;
      if (generator === undefined || guess === undefined) throw new Error("there is no generator");
      const rows = Int32Array.from(chosen, ({ row }) => row);
      const { hidden } = generator.encoder.forward(batch, {
        training,
        seed: deriveSeed(at, "generator"),
        recompute,
      });
      const tokens = generator.head.forward(hidden, batch, { rows }).logits as Tensor;
      const logits = guess.logits(tokens, take(hidden, tensor(rows)));
      const targets = tensor(Int32Array.from(chosen, ({ identity }) => identity));
      const random = randomSource(deriveSeed(at, "generated"));
      return {
        sampled: sampleRows(logits.detach(), random, 1, vocabulary.maskId),
        loss: crossEntropy(logits, targets),
      };
    }

    function piecesLoss(pieces: PieceBatch, how: Forward): Tensor {
      const { batch, chosen } = pieces;
      const rows = Int32Array.from(chosen, ({ row }) => row);
      const { hidden, logits } = model.forward(batch, { rows, ...how });
      const targets = tensor(Int32Array.from(chosen, ({ identity }) => identity));
      return crossEntropy(output.logits(logits as Tensor, take(hidden, tensor(rows))), targets);
    }

    /** Identities at the pieces, tokens at the placeholders; where pieces were replaced, which ones. */
    function comprehensiveLoss(pieces: PieceBatch, read: Int32Array, replaced: Uint8Array | undefined, how: Forward) {
      const { batch, pieceRows, kept, rows, targets } = withPlaceholders(pieces, (slot) => vocabularySize + slot, read);
      const wide = { ...batch, extraWords };
      const { hidden, logits } = model.forward(wide, { rows: pieceRows, ...how });
      const ofTokens = model.head.forward(hidden, wide, { rows, targets, lossOnly: true }, how);
      const identities = tensor(Int32Array.from(pieces.chosen, ({ identity }) => identity));
      const ofPieces = crossEntropy(output.logits(logits as Tensor, take(hidden, tensor(pieceRows))), identities);
      const both = add(ofPieces, lossOf(ofTokens));
      if (replaced === undefined) return both;
      const found = linear(
        take(hidden, tensor(kept)),
        lookUp(beside, `${type}.detector.output.weight`),
        lookUp(beside, `${type}.detector.output.bias`),
      );
      const detection = binaryCrossEntropy(reshape(found, [kept.length]), tensor(Float32Array.from(replaced)));
      return add(both, mul(detection, config.detectionWeight));
    }

    return {
      parameters: all,
      state: new Map(),
      prepare: (batch: PackedBatch, random): PieceBatch => hidePieces(batch, lexicon, vocabulary, random, config.rate),
      loss(pieces, { seed: at, recompute = false, training = true }) {
        const how = { seed: at, recompute, training };
        if (config.mode === "contiguous") {
          const { batch, rows, targets } = hideTokens(pieces);
          return lossOf(model.forward(batch, { rows, targets, lossOnly: true, ...how }));
        }
        if (config.mode === "explicit") return piecesLoss(pieces, how);
        if (!enhanced) return comprehensiveLoss(pieces, pieces.batch.ids, undefined, how);
        const { sampled, loss } = propose(pieces, how);
        const read = pieces.batch.ids.slice();
        const replaced = new Uint8Array(read.length);
        pieces.chosen.forEach(({ row, identity }, i) => {
          read[row] = readId(sampled[i]);
          // A guess that is right is the original.
          replaced[row] = Number(sampled[i] !== identity);
        });
        return add(loss, comprehensiveLoss(pieces, read, replaced, { ...how, seed: deriveSeed(at, "model") }));
      },
      tokens: ({ batch }) => batch.ids.length,
      flops(pieces) {
        const tokens = pieces.chosen.reduce((sum, { ids }) => sum + ids.length, 0);
        if (config.mode === "contiguous") {
          const { batch } = hideTokens(pieces);
          return 3 * (encoderFlops(model.encoder.config, batch.offsets) + headFlops(model, tokens));
        }
        const { chosen } = pieces;
        const batch = placeholders > 0 ? withPlaceholders(pieces, () => 0).batch : pieces.batch;
        const rows = chosen.length + (placeholders > 0 ? tokens : 0);
        const own =
          encoderFlops(model.encoder.config, batch.offsets) + headFlops(model, rows) + output.flops(chosen.length);
        if (generator === undefined || guess === undefined) return 3 * own;
        const guessed = generator.flops({
          batch: pieces.batch,
          rows: new Int32Array(chosen.length),
          targets: new Int32Array(0),
        });
        return 3 * (own + guessed + guess.flops(chosen.length));
      },
      dispose() {
        generator?.dispose();
        for (const parameters of [output.parameters, beside, guess?.parameters ?? new Map<string, Tensor>()]) {
          for (const parameter of parameters.values()) parameter.dispose();
        }
      },
    };
  },
});
