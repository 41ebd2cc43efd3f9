// A request while it is worked on: which model it is for, what it costs, and whether its client is still there.

import { inSlices, type Steps } from "../../text/index.js";
import type { Abilities } from "../abilities/index.js";
import type { EncodedInput } from "../encode-input.js";
import type { Answer, Program, Scheduler, Unit } from "../scheduler.js";
import type { ServedIndex } from "../search-index.js";
import type { ServedModel } from "../served-model.js";
import { ServingError } from "../serving-error.js";
import type { ServerSettings } from "../settings.js";
import type { Dialect } from "./dialects.js";
import type { Metrics } from "./metrics.js";

/** What all requests share. */
export interface ServerState {
  readonly settings: ServerSettings;
  readonly scheduler: Scheduler;
  readonly metrics: Metrics;
  /** In the order of the command line; filled while the server starts. */
  readonly models: Map<string, ServedModel>;
  readonly indexes: Map<string, ServedIndex>;
  readonly version: string;
  /** Models are loaded and warm. */
  ready: boolean;
  /** The server is to end. */
  draining: boolean;
}

/** What a request took. Times are in milliseconds. */
export interface Cost {
  model: string;
  inputs: number;
  characters: number;
  tokens: number;
  dropped: number;
  tokenizationTime: number;
  queueTime: number;
  inferenceTime: number;
}

export interface Exchange {
  readonly state: ServerState;
  readonly signal: AbortSignal;
  readonly cost: Cost;
  /** The API that the request speaks; a route for two says which. */
  dialect: Dialect;
  /** The model of the path, where it names one. */
  readonly pathModel?: string;
  /** Fields of the address. */
  readonly query: Readonly<Record<string, string | undefined>>;
  /** The rest of a path that ends in `*`. */
  readonly rest?: string;
}

/** What models are called that have an ability. */
const abilityNames: Readonly<Record<keyof Abilities, string>> = {
  dense: "an embedding model",
  tokenVectors: "an embedding model",
  sparse: "a sparse encoder or a masked language model",
  lateInteraction: "an encoder of tokens",
  mask: "a masked language model",
  task: "a fine-tuned model",
};

/** @throws ServingError "model-not-found" */
export function modelNamed({ state }: Exchange, name: string): ServedModel {
  const found = state.models.get(name);
  if (found !== undefined) return found;
  throw new ServingError(
    "model-not-found",
    `The model ${JSON.stringify(name.slice(0, 100))} does not exist; there is ${[...state.models.keys()].join(", ") || "none"}`,
    { field: "model" },
  );
}

/**
 * The model that a request is for: the one that it names, else the first that fits.
 *
 * @param what how a model that fits is called in errors
 * @throws ServingError "model-not-found", and "backend" when the model cannot do this
 */
export function chooseModel(
  exchange: Exchange,
  name: string | null | undefined,
  fits: (model: ServedModel) => boolean,
  what: string,
): ServedModel {
  const wanted = name ?? exchange.pathModel;
  const { models } = exchange.state;
  const found = wanted == null ? [...models.values()].find(fits) : modelNamed(exchange, wanted);
  if (found === undefined || !fits(found)) {
    throw new ServingError(
      "backend",
      found === undefined ? `no model here is ${what}` : `${found.name} is not ${what}`,
      {
        field: "model",
      },
    );
  }
  exchange.cost.model = found.name;
  return found;
}

/** The model that a request is for, and the ability that it asks for. @throws as `chooseModel` */
export function chooseAbility<Name extends keyof Abilities>(
  exchange: Exchange,
  name: string | null | undefined,
  ability: Name,
): { served: ServedModel; ability: NonNullable<Abilities[Name]> } {
  const served = chooseModel(
    exchange,
    name,
    ({ abilities }) => abilities[ability] !== undefined,
    abilityNames[ability],
  );
  return { served, ability: served.abilities[ability] as NonNullable<Abilities[Name]> };
}

/**
 * Encodes inputs one after the other and counts them; long lists and long inputs let others in between.
 *
 * @throws the signal's reason, and what `encode` throws
 */
export async function encodeAll<Input, Encoded>(
  { cost, signal }: Exchange,
  inputs: readonly Input[],
  encode: (input: Input) => Steps<Encoded>,
): Promise<Encoded[]> {
  function* all(): Steps<Encoded[]> {
    const encoded: Encoded[] = [];
    for (const input of inputs) {
      encoded.push(yield* encode(input));
      yield;
    }
    return encoded;
  }
  const worked = (milliseconds: number): void => {
    cost.tokenizationTime += milliseconds;
  };
  const encoded = await inSlices(all(), { signal, worked });
  cost.inputs += inputs.length;
  return encoded;
}

/** Adds what was cut off to the cost. */
export function countDropped({ cost }: Exchange, units: readonly EncodedInput[]): void {
  for (const { dropped } of units) cost.dropped += dropped;
}

/** Runs units in their turn. @throws what `Scheduler.submit` throws */
export async function inTurn<U extends Unit, Result>(
  { state, signal, cost }: Exchange,
  program: Program<U, Result>,
  units: readonly U[],
): Promise<Answer<Result>> {
  const answer = await state.scheduler.submit(program, units, { signal });
  cost.queueTime += answer.queueTime;
  cost.inferenceTime += answer.computeTime;
  return answer;
}

/** The same for texts, whose tokens are counted. @throws as `inTurn` */
export function compute<U extends Unit, Result>(
  exchange: Exchange,
  program: Program<U, Result>,
  units: readonly U[],
): Promise<Answer<Result>> {
  for (const { tokens } of units) exchange.cost.tokens += tokens;
  return inTurn(exchange, program, units);
}

/** Counted one by one: a list of a million surrogates takes long to make. */
function codePoints(text: string): number {
  let count = 0;
  for (let unit = 0; unit < text.length; unit++) {
    count++;
    if ((text.codePointAt(unit) as number) > 0xffff) unit++;
  }
  return count;
}

/** Characters of texts, as text-embeddings-inference counts them for its headers. */
export function countCharacters({ cost }: Exchange, texts: readonly unknown[]): void {
  for (const text of texts) if (typeof text === "string") cost.characters += codePoints(text);
}

/** @throws ServingError "validation" when there are more inputs than allowed */
export function checkBatchSize(count: number, most: number, field: string): void {
  if (count <= most) return;
  throw new ServingError("validation", `batch size ${count} > maximum allowed batch size ${most}`, { field });
}
