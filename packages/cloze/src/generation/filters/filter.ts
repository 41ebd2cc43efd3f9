// The contract of what may strike out tokens before one is drawn.
import type { z } from "zod";
import type { Candidates } from "../sampler.js";

/** Where a text stands when its next token is drawn. */
export interface GenerationState {
  /** All tokens so far, the prompt's included. */
  readonly ids: readonly number[];
  /** What passed the temperature, the best k and the filters before, the most likely first. */
  readonly candidates: Candidates;
  /** The whole text if a token came next; special tokens, such as the mark of its end, are no text. */
  textWith(id: number): string;
}

/** Strikes out tokens. */
export interface TokenFilter {
  readonly type: string;
  /** 1 for each candidate that may come, else 0; at least one must. [candidates] */
  keep(state: GenerationState): Uint8Array;
  /** Frees what it loaded. */
  dispose?(): void;
}

/** A kind of filter. */
export interface TokenFilterKind {
  readonly type: string;
  /** One line for help. */
  readonly description: string;
  /** Settings with their defaults and descriptions. */
  readonly options: z.ZodObject;
  create(settings: Readonly<Record<string, unknown>>): TokenFilter;
}

/** Ties a filter to its settings' types. */
export const defineFilter = <Schema extends z.ZodObject>(
  kind: Omit<TokenFilterKind, "options" | "create"> & {
    options: Schema;
    create(settings: z.output<Schema>): TokenFilter;
  },
): TokenFilterKind => kind as unknown as TokenFilterKind;
