// Several channels side by side; each token goes through the one, or the few, that its text or a router chooses.
import {
  concat,
  div,
  mul,
  linear as product,
  reshape,
  scatterRows,
  segmentMean,
  slice,
  softmax,
  sum,
  type Tensor,
  take,
  tensor,
} from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import type { EncoderBatch } from "../batch.js";
import { prefixed } from "../parameters.js";
import type { BoundSlot, EncoderFrame, SlotAccess, SlotContext, SlotPart } from "../part.js";
import { weightSchema } from "../weights/index.js";

/** Which experts tokens go to, and with what weight. */
interface Assignment {
  /** `perUnit` experts for each unit, one after the other. */
  readonly experts: Int32Array;
  readonly perUnit: number;
  /** The unit of each token: itself, or its sequence. [tokens] */
  readonly units: Int32Array;
  /** What each expert's output is multiplied by; absent: 1. [units x perUnit] */
  readonly gates?: Tensor;
}

const sequenceOfTokens = ({ ids, offsets }: EncoderBatch): Int32Array => {
  const units = new Int32Array(ids.length);
  for (let s = 0; s + 1 < offsets.length; s++) units.fill(s, offsets[s], offsets[s + 1]);
  return units;
};
const eachToken = ({ ids }: EncoderBatch): Int32Array => Int32Array.from(ids, (_, t) => t);

/** Expert of each sequence, as the batch says. @throws EXPERT_ROUTES */
function givenRoutes({ routes, offsets }: EncoderBatch, count: number): Int32Array {
  const sequences = offsets.length - 1;
  const wrong = routes?.find((expert) => !(expert >= 0 && expert < count));
  if (routes?.length === sequences && wrong === undefined) return routes;
  throw new ClozeError("EXPERT_ROUTES", "This encoder has experts and must be told which one each sequence goes to", {
    expected: `${sequences} whole numbers from 0 to ${count - 1} in batch.routes`,
    received: routes === undefined ? "none" : wrong === undefined ? `${routes.length} numbers` : String(wrong),
    remedy: "Name the field of the texts: embed(texts, { field }), or field in each row of training data.",
  });
}

/** The k largest of each row, the largest first; of equal ones the first. */
function largest(rows: ArrayLike<number>, width: number, k: number): Int32Array {
  const chosen = new Int32Array((rows.length / width) * k);
  for (let row = 0; row * width < rows.length; row++) {
    const order = Array.from({ length: width }, (_, i) => i);
    order.sort((a, b) => rows[row * width + b] - rows[row * width + a] || a - b);
    chosen.set(order.slice(0, k), row * k);
  }
  return chosen;
}

/**
 * Kernels sum products of so few rows in another order. Fewer rows of a larger batch are filled up, so that an output does not
 * depend, by rounding, on how many tokens chose the same expert.
 */
const fewRows = 4;

/** The places, filled up with the first one. */
const filledUp = (places: readonly number[], tokens: number): Int32Array => {
  const length = tokens > fewRows ? Math.max(places.length, fewRows + 1) : places.length;
  return Int32Array.from({ length }, (_, i) => places[i] ?? places[0]);
};

/** Puts the outputs of the experts together: each token's own, or the sum of its experts' by their gates. */
function mixOutputs(
  x: Tensor,
  { experts, perUnit, units, gates }: Assignment,
  run: (expert: number, rows: Tensor) => Tensor,
): Tensor {
  const tokens = x.shape[0];
  const members = new Map<number, { tokens: number[]; places: number[] }>();
  for (let t = 0; t < tokens; t++) {
    for (let i = 0; i < perUnit; i++) {
      const place = units[t] * perUnit + i;
      const group = members.get(experts[place]) ?? { tokens: [], places: [] };
      members.set(experts[place], group);
      group.tokens.push(t);
      group.places.push(place);
    }
  }
  const groups = [...members].sort(([a], [b]) => a - b);
  if (groups.length === 0) return x;
  if (groups.length === 1 && gates === undefined) return run(groups[0][0], x);
  const outputs = groups.map(([expert, group]) => {
    const rows = run(expert, take(x, tensor(filledUp(group.tokens, tokens))));
    return rows.shape[0] === group.tokens.length ? rows : slice(rows, [{ end: group.tokens.length }]);
  });
  const all = outputs.length === 1 ? outputs[0] : concat(outputs, 0); // [tokens x perUnit, hidden], expert by expert
  const owners = Int32Array.from(groups.flatMap(([, group]) => group.tokens));
  if (gates === undefined) {
    const back = new Int32Array(tokens);
    owners.forEach((token, row) => {
      back[token] = row;
    });
    return take(all, tensor(back));
  }
  const places = tensor(Int32Array.from(groups.flatMap(([, group]) => group.places)));
  const weights = reshape(take(reshape(gates, [gates.size]), places), [owners.length, 1]);
  return scatterRows(mul(all, weights), tensor(owners), tokens);
}

const fields = {
  type: z.literal("experts"),
  /** How many there are. */
  count: z.int().min(1),
  /**
   * "given": the batch says for each sequence (`batch.routes`); "segment": the segment of each token; "switch": the expert
   * that a router finds likeliest, unscaled; "top-k": the k likeliest, by their probabilities.
   */
  route: z.enum(["given", "segment", "switch", "top-k"]).default("given"),
  /** What a router chooses for; for sequences it takes the mean of their tokens' logits. */
  unit: z.enum(["sequence", "token"]).default("sequence"),
  /** For "top-k". */
  k: z.int().min(1).default(2),
  /** For "top-k": the probabilities of the chosen ones are scaled to the sum 1. */
  renormalise: z.boolean().default(true),
  /** By the names of all matrices: `experts.0.input`. */
  weights: z.record(z.string(), weightSchema).optional(),
};

/**
 * A mixture of experts over another channel part (switch: arXiv 2101.03961; enforced routing by field: arXiv 2401.15713).
 * Expert i has that part's parameters as `experts.i.…`; a router has `router.weight` [count, hidden] without bias. Only the
 * experts that a batch uses are computed, and get gradients.
 *
 * @param inner what an expert may be
 * @param bindInner makes it
 */
export function expertsOver<Config extends { readonly type: string }, Input>(
  inner: z.ZodType<Config, Input>,
  bindInner: (config: Config, hiddenSize: number, encoder: EncoderFrame) => BoundSlot,
) {
  const schema = z
    .strictObject({ ...fields, expert: inner })
    .refine(({ k, count, route }) => route !== "top-k" || k <= count, {
      path: ["k"],
      message: "more than there are experts",
    })
    .refine(({ expert }) => !("weights" in expert) || expert.weights === undefined, {
      path: ["expert", "weights"],
      message: "the storage of experts' matrices stands in weights beside expert, as experts.0.input",
    });
  const part: SlotPart<typeof schema> = {
    schema,
    bind(config, hiddenSize, encoder) {
      const { count, route, unit, k, renormalise } = config;
      const expert = bindInner(config.expert as Config, hiddenSize, encoder);
      const learned = route === "switch" || route === "top-k";
      const perUnit = route === "top-k" ? k : 1;
      const indices = Array.from({ length: count }, (_, i) => i);
      const inactive = expert.matrices.reduce((total, { outputs, inputs }) => total + outputs * inputs, 0);

      /** Logits of the router for each unit. -> [units, count] */
      const logitsOf = (x: Tensor, { parameter }: SlotAccess, { offsets }: SlotContext): Tensor => {
        const logits = product(x, parameter("router.weight")); // [tokens, count]
        return unit === "token" ? logits : segmentMean(logits, offsets);
      };
      const assign = (x: Tensor, access: SlotAccess, context: SlotContext): Assignment => {
        const { batch, once } = context;
        if (route === "segment") {
          const bySegment = { routes: batch.segments, offsets: { length: batch.ids.length + 1 } as Int32Array };
          return { experts: givenRoutes({ ...batch, ...bySegment }, count), perUnit, units: eachToken(batch) };
        }
        const bySequence = route === "given" || unit === "sequence";
        const units = once(`experts ${bySequence}`, () => (bySequence ? sequenceOfTokens : eachToken)(batch));
        if (!learned) return { experts: givenRoutes(batch, count), perUnit, units };
        const logits = logitsOf(x, access, context);
        context.observeRouter?.(logits, units);
        const chosen = largest(logits.toTypedArray(), count, perUnit);
        if (route === "switch") return { experts: chosen, perUnit, units };
        const kept = Int32Array.from(chosen, (index, i) => Math.floor(i / k) * count + index);
        const probabilities = reshape(softmax(logits), [logits.size]);
        const gates = reshape(take(probabilities, tensor(kept)), [kept.length / k, k]);
        const scaled = renormalise ? div(gates, sum(gates, [1], true)) : gates;
        return { experts: chosen, perUnit, units, gates: scaled };
      };
      // A sequence's mean holds all of its tokens, also those that are not looked at.
      const heeds = expert.heedsContext === true && !(learned && unit === "sequence");
      return {
        ...(heeds ? { heedsContext: true as const } : {}),
        ...(expert.unordered ? { unordered: true as const } : {}),
        ...(heeds && expert.cacheWidth === 0 ? { cacheWidth: 0 } : {}),
        matrices: indices.flatMap((i) =>
          expert.matrices.map((matrix) => ({ ...matrix, name: `experts.${i}.${matrix.name}` })),
        ),
        vectors: [
          ...(learned ? [{ name: "router.weight", shape: [count, hiddenSize], initial: "normal" as const }] : []),
          ...indices.flatMap((i) => prefixed(`experts.${i}`, expert.vectors ?? [])),
        ],
        shared: expert.shared,
        // The matrices of all experts are counted as if every token went through them.
        flops: (length, looked) =>
          (expert.flops?.(length, looked) ?? 0) * perUnit - 2 * length * inactive * (count - perUnit),
        forward: (x, access, context) =>
          mixOutputs(x, assign(x, access, context), (i, rows) =>
            expert.forward(
              rows,
              {
                linear: (matrix, input, options) => access.linear(`experts.${i}.${matrix}`, input, options),
                linearParts: (matrix, input, parts) => access.linearParts(`experts.${i}.${matrix}`, input, parts),
                parameter: (name) => access.parameter(`experts.${i}.${name}`),
                shared: access.shared,
              },
              { ...context, seed: (place) => context.seed(`${i}.${place}`) },
            ),
          ),
      };
    },
  };
  return part;
}
