// TILDE on disk: a masked language model's folder, with how it reads beside it.
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/model.js";
import type { Tokenizer } from "../../text/index.js";
import { partFolder } from "../part-folder.js";

export interface TildeSettings {
  /** Tokens of a text at most. */
  readonly maxLength: number;
  /** Weight of the likelihood of the query by the document; of the other way what is left. */
  readonly alpha: number;
  /** Likeliest tokens that are looked at for documents that are expanded. */
  readonly expansionTerms: number;
}

/** A masked language model that knows which tokens belong to a text. It owns the model. */
export interface Tilde {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly settings: TildeSettings;
  dispose(): void;
}

const folders = partFolder({
  name: "tilde",
  settings: z.strictObject({
    maxLength: z.int().positive(),
    alpha: z.number().min(0).max(1),
    expansionTerms: z.int().positive(),
  }),
  error: {
    code: "TILDE_FILE",
    message: "describes no TILDE",
    expected: "a folder of cloze train-retrieval --part tilde",
  },
});

/** Puts a model, its tokenizer and settings together. @throws TILDE_HEAD for a model without a masked-language head */
export function createTilde(model: Model, tokenizer: Tokenizer, settings: TildeSettings): Tilde {
  if (model.head.config.type !== "masked-language") {
    throw new ClozeError("TILDE_HEAD", "Likelihoods of tokens come from a masked-language head", {
      expected: "a model ForMaskedLM",
      received: model.architecture,
    });
  }
  const { maxPositions } = model.encoder.config;
  const maxLength = Math.min(settings.maxLength, maxPositions > 0 ? maxPositions : 512);
  return { model, tokenizer, settings: { ...settings, maxLength }, dispose: () => model.dispose() };
}

/** Whether a folder holds a TILDE. */
export const isTildeFolder = folders.recognises;

/** Writes one: the model's folder, and `tilde.json` last. @throws FILE_WRITE, DISK_FULL */
export const saveTilde = (tilde: Tilde, folder: string): void =>
  folders.save({ ...tilde, parameters: tilde.model.parameters }, folder);

/** Opens what `saveTilde` wrote. @throws TILDE_FILE, TILDE_HEAD, and what `loadModel` and `loadTokenizer` throw */
export const loadTilde = (folder: string): Tilde => folders.load(folder, createTilde);
