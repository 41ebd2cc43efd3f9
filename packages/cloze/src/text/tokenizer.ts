import { ClozeError } from "../errors.js";
import { type AddedVocabulary, readAddedTokens } from "./added-tokens.js";
import { type ContinuationRule, continuationRule } from "./continuation.js";
import { type Decoder, readDecoder } from "./decoders/index.js";
import { assembleSteps, countSpecial, type Encoding, type SequenceTokens, templateOf } from "./encoding.js";
import { IdBuffer, IdEncoder } from "./id-encoder.js";
import { cutRanges, type IdRange, joinIds } from "./id-ranges.js";
import { type JsonObject, JsonReader } from "./json-reader.js";
import { readModel } from "./models/index.js";
import type { Model } from "./models/model.js";
import { readNormalizer } from "./normalizers/index.js";
import { type PaddingOptions, padEncodings, readPadding } from "./padding.js";
import { Pipeline, type PipelineParts } from "./pipeline.js";
import { type PostProcessor, readPostProcessor } from "./post-processors/index.js";
import { readPreTokenizer } from "./pre-tokenizers/index.js";
import {
  findSpecialTokens,
  readSpecialTokenNames,
  type SpecialTokenIds,
  type SpecialTokenRole,
  specialTokenFields,
} from "./special-tokens.js";
import { atOnce, type Steps } from "./steps.js";
import { parseJsonObject, readTokenizerFiles, type TokenizerFiles, writeTokenizerFiles } from "./tokenizer-files.js";
import { countedLength, readTruncation, type TruncationOptions, truncate } from "./truncation.js";

/** What {@link Tokenizer.encode} can be told. */
export interface EncodeOptions {
  /** A second text. */
  pair?: string;
  /** Whether the model's special tokens are put around the texts; true by default. */
  addSpecialTokens?: boolean;
  /** How to make the encoding fit; what the file says by default, `false` for not at all. */
  truncation?: TruncationOptions | false;
  /** How to fill the encoding up; what the file says by default, `false` for not at all. */
  padding?: PaddingOptions | false;
}

/** What {@link Tokenizer.encodeIds} can be told. */
export type EncodeIdsOptions = Omit<EncodeOptions, "padding">;

/** What {@link Tokenizer.decode} can be told. */
export interface DecodeOptions {
  /** Whether special tokens are left out; true by default. */
  skipSpecialTokens?: boolean;
}

/**
 * Text to ids and back, as a `tokenizer.json` says.
 *
 * @example
 * const tokenizer = loadTokenizer("bert-base-uncased/tokenizer.json");
 * const { ids, offsets } = tokenizer.encode("Hello, world!", { pair: "Hi!" });
 * tokenizer.decode(ids); // "hello, world! hi!"
 */
export class Tokenizer {
  /** Ids of the special tokens: never masked, left out when decoding. */
  readonly specialIds: ReadonlySet<number>;
  /** The ids of the tokens with a role; a role that the vocabulary lacks is absent. */
  readonly roles: SpecialTokenIds;
  /** Ids are below this: the rows that an embedding needs. */
  readonly vocabularySize: number;
  /** The vocabulary without added tokens, and how it cuts a piece. */
  readonly model: Model;
  private readonly pipeline: Pipeline;
  private readonly idEncoder: IdEncoder;
  private readonly added: AddedVocabulary;
  private readonly postProcessor: PostProcessor | null;
  private readonly decoder: Decoder | null;
  /** How texts are cut unless told otherwise, as `tokenizer.json` says; null where they are not. */
  readonly truncation: TruncationOptions | null;
  private readonly padding: PaddingOptions | null;
  private readonly continues: ContinuationRule;
  private readonly buffer = new IdBuffer();
  private readonly json: JsonObject;
  private readonly config: JsonObject | null;
  private readonly specialTokensMap: JsonObject | null;

  /** Use `tokenizerFromJson` or `loadTokenizer`, which check more. */
  constructor({ json, config, specialTokensMap }: TokenizerFiles) {
    this.json = json;
    this.config = config;
    this.specialTokensMap = specialTokensMap;
    const names = readSpecialTokenNames({ ...specialTokensMap, ...config });
    const reader = JsonReader.of(json, "");
    const section = <Part>(key: string, read: (reader: JsonReader) => Part): Part | null =>
      reader.has(key) ? read(reader.reader(key)) : null;
    const normalizer = section("normalizer", readNormalizer);
    const preTokenizer = section("pre_tokenizer", readPreTokenizer);
    this.postProcessor = section("post_processor", readPostProcessor);
    this.decoder = section("decoder", readDecoder);
    this.model = readModel(reader.reader("model"));
    this.added = readAddedTokens(reader, this.model, normalizer);
    this.truncation = readTruncation(reader);
    this.padding = readPadding(reader);
    this.continues = continuationRule(reader);
    const parts: PipelineParts = { normalizer, preTokenizer, model: this.model, added: this.added };
    this.pipeline = new Pipeline(parts);
    this.idEncoder = new IdEncoder(parts);
    this.roles = findSpecialTokens(reader, this.model, this.added, names);
    const special = new Set<number>(Object.values(this.roles));
    for (const token of this.added.byId.values()) if (token.special) special.add(token.id);
    this.specialIds = special;
    let highest = -1;
    for (const [, id] of this.model.entries()) if (id > highest) highest = id;
    for (const id of this.added.byId.keys()) if (id > highest) highest = id;
    this.vocabularySize = Math.max(highest + 1, this.model.size);
  }

  /**
   * Encodes a text, or a pair of texts, with all that is known about each token.
   *
   * @throws ClozeError `TOKENIZER_TRUNCATION` for a truncation that leaves nothing, `TOKENIZER_NO_UNKNOWN_TOKEN` for a
   * text that the vocabulary cannot write.
   * @example
   * tokenizer.encode("A long text", { truncation: { maxLength: 128, stride: 32 } }).overflowing; // further windows
   */
  encode(text: string, options: EncodeOptions = {}): Encoding {
    const encoding = this.encodeUnpadded(text, options);
    const padding = options.padding ?? this.padding;
    return padding ? padEncodings([encoding], padding)[0] : encoding;
  }

  /** Encodes texts, or pairs of texts; padding, where there is any, goes to the longest of them. */
  encodeBatch(
    texts: readonly (string | readonly [string, string])[],
    options: Omit<EncodeOptions, "pair"> = {},
  ): Encoding[] {
    const encodings = texts.map((text) =>
      typeof text === "string"
        ? this.encodeUnpadded(text, options)
        : this.encodeUnpadded(text[0], { ...options, pair: text[1] }),
    );
    const padding = options.padding ?? this.padding;
    return padding ? padEncodings(encodings, padding) : encodings;
  }

  private encodeUnpadded(text: string, options: EncodeOptions): Encoding {
    const sequences = [text, ...pairOf(options)].map((each) => this.pipeline.encode(checkText(each)));
    return atOnce(this.assembleSteps(text, sequences, options));
  }

  /**
   * What {@link encode} gives without padding, in steps that take a few milliseconds at most, where the tokenizer lets a text
   * be cut (at white space, with most). For servers that are given megabytes.
   *
   * @throws as `encode`
   * @example
   * const { ids } = await inSlices(tokenizer.encodeSteps(text));
   */
  *encodeSteps(text: string, options: Omit<EncodeOptions, "padding"> = {}): Steps<Encoding> {
    const sequences: SequenceTokens[] = [];
    for (const each of [text, ...pairOf(options)]) sequences.push(yield* this.pipeline.encodeSteps(checkText(each)));
    return yield* this.assembleSteps(text, sequences, options);
  }

  private *assembleSteps(text: string, sequences: SequenceTokens[], options: EncodeOptions): Steps<Encoding> {
    const { pair, addSpecialTokens = true } = options;
    const template = templateOf(this.postProcessor, pair !== undefined);
    const trim = this.postProcessor?.trim ?? null;
    const how = { template, addSpecialTokens, trim, texts: [text, pair ?? ""] };
    const truncation = options.truncation ?? this.truncation;
    if (!truncation) return yield* assembleSteps(sequences, how);
    const added = addSpecialTokens ? countSpecial(template) : 0;
    const [first, second] = truncate(sequences, truncation, added);
    const parts = first.flatMap((tokens) => (second ? second.map((other) => [tokens, other]) : [[tokens]]));
    const windows: Encoding[] = [];
    for (const tokens of parts) {
      windows.push(yield* assembleSteps(tokens, how));
      yield;
    }
    const [main, ...overflowing] = windows;
    // The windows that follow the first text come before those that only the second has.
    const own = second ? second.length - 1 : 0;
    return { ...main, overflowing: [...overflowing.slice(own), ...overflowing.slice(0, own)] };
  }

  /**
   * The ids of a text alone, several times as fast as {@link encode}: without offsets, and never padded.
   *
   * @example
   * tokenizer.encodeIds("Hello", { truncation: { maxLength: 128 } }); // Int32Array [101, 7592, 102]
   */
  encodeIds(text: string, options: EncodeIdsOptions = {}): Int32Array {
    const { buffer } = this;
    buffer.size = 0;
    const ends = [text, ...pairOf(options)].map((each) => {
      this.idEncoder.encode(checkText(each), buffer);
      return buffer.size;
    });
    return this.idsOf(buffer, ends, text, options);
  }

  /**
   * What {@link encodeIds} gives, in steps as those of {@link encodeSteps}.
   *
   * @throws as `encodeIds`
   */
  *encodeIdsSteps(text: string, options: EncodeIdsOptions = {}): Steps<Int32Array> {
    // Another text may be encoded between two steps.
    const buffer = new IdBuffer();
    const ends: number[] = [];
    for (const each of [text, ...pairOf(options)]) {
      yield* this.idEncoder.encodeSteps(checkText(each), buffer);
      ends.push(buffer.size);
    }
    return this.idsOf(buffer, ends, text, options);
  }

  private idsOf(buffer: IdBuffer, ends: readonly number[], text: string, options: EncodeIdsOptions): Int32Array {
    const { pair, addSpecialTokens = true } = options;
    const template = templateOf(this.postProcessor, pair !== undefined);
    const truncation = options.truncation ?? this.truncation;
    const ranges = ends.map((end, index): IdRange => [index === 0 ? 0 : ends[index - 1], end]);
    if (truncation) {
      let lengths = ranges.map(([start, end]) => end - start);
      if (
        pair !== undefined &&
        truncation.pairLengths === "filled" &&
        lengths.every((length) => length > truncation.maxLength)
      ) {
        lengths = [text, pair].map((each) => countedLength(this.pipeline.encode(each), truncation));
      }
      cutRanges(ranges, lengths, truncation, addSpecialTokens ? countSpecial(template) : 0);
    }
    return joinIds(template, buffer, ranges, addSpecialTokens);
  }

  /**
   * The text that ids stand for. Ids that the vocabulary lacks are left out.
   *
   * @example
   * tokenizer.decode([101, 7592, 102]); // "hello"
   */
  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const { skipSpecialTokens = true } = options;
    const tokens: string[] = [];
    for (let at = 0; at < ids.length; at++) {
      const id = ids[at];
      const added = this.added.byId.get(id);
      if (skipSpecialTokens && added?.special) continue;
      const token = added ? (this.added.normalizedForms.get(id) ?? added.content) : this.model.idToToken(id);
      if (token !== undefined) tokens.push(token);
    }
    return this.decoder ? this.decoder(tokens).join("") : tokens.join(" ");
  }

  /** The id of a token, added ones included; undefined where there is none. */
  tokenToId(token: string): number | undefined {
    return this.added.byContent.get(token)?.id ?? this.model.tokenToId(token);
  }

  /** The token of an id, added ones included; undefined where there is none. */
  idToToken(id: number): string | undefined {
    return this.added.byId.get(id)?.content ?? this.model.idToToken(id);
  }

  /** Whether a token goes on with a word rather than beginning one; false where the vocabulary cannot tell. */
  isContinuation(id: number): boolean {
    if (!this.continues || this.added.byId.has(id)) return false;
    const token = this.model.idToToken(id);
    return token !== undefined && this.continues(token);
  }

  /** How many special tokens `encode` adds to a text, or to a pair. */
  addedTokens(isPair = false): number {
    return countSpecial(templateOf(this.postProcessor, isPair));
  }

  /** The id of `[MASK]`, `<mask>`. Throws `TOKENIZER_NO_SPECIAL_TOKEN` where the vocabulary has none; so do the others. */
  get maskId(): number {
    return this.idOfRole("mask");
  }

  /** The id of `[CLS]`, `<s>`. */
  get clsId(): number {
    return this.idOfRole("classification");
  }

  /** The id of `[SEP]`, `</s>`. */
  get sepId(): number {
    return this.idOfRole("separator");
  }

  /** The id of `[PAD]`, `<pad>`. */
  get padId(): number {
    return this.idOfRole("padding");
  }

  /** The id of `[UNK]`, `<unk>`. */
  get unknownId(): number {
    return this.idOfRole("unknown");
  }

  private idOfRole(role: SpecialTokenRole): number {
    const id = this.roles[role];
    if (id !== undefined) return id;
    throw new ClozeError("TOKENIZER_NO_SPECIAL_TOKEN", `The vocabulary has no ${role} token.`, {
      expected: `a ${role} token`,
      received: `roles with a token: ${Object.keys(this.roles).join(", ") || "none"}`,
      remedy: "Use a tokenizer with this token, or name it in tokenizer_config.json beside tokenizer.json.",
    });
  }

  /** The `tokenizer.json`, equal to what was read; a copy of it. */
  toJson(): JsonObject {
    return structuredClone(this.json);
  }

  /**
   * A tokenizer with another `tokenizer.json` and the settings beside it that this one has.
   *
   * @throws ClozeError as `tokenizerFromJson`
   */
  withJson(json: JsonObject): Tokenizer {
    return build({ json, config: this.config, specialTokensMap: this.specialTokensMap });
  }

  /**
   * Saves the tokenizer for Cloze, transformers and tokenizers to load.
   *
   * @param path a file that ends in `.json`, or a folder for `tokenizer.json` and `tokenizer_config.json`.
   * @throws ClozeError `FILE_WRITE`, `DISK_FULL`; what was there before is then intact.
   */
  save(path: string): void {
    const names = Object.fromEntries(Object.entries(this.roles).map(([role, id]) => [role, this.idToToken(id)]));
    const config = { tokenizer_class: "PreTrainedTokenizerFast", ...specialTokenFields(names) };
    writeTokenizerFiles(path, this.json, this.config ?? config);
  }
}

/**
 * Makes a tokenizer of a `tokenizer.json`.
 *
 * @param json the parsed file, or its text. A parsed file must not be changed afterwards.
 * @throws ClozeError with a code that begins with `TOKENIZER_` where a part is missing, unknown or of the wrong type.
 * @example
 * const tokenizer = tokenizerFromJson(await (await fetch(url)).text());
 */
export function tokenizerFromJson(json: unknown): Tokenizer {
  const object = typeof json === "string" ? parseJsonObject(json, "The text") : JsonReader.of(json, "").object;
  return build({ json: object, config: null, specialTokensMap: null });
}

/**
 * Loads a tokenizer.
 *
 * @param path a `tokenizer.json`, or a folder that holds one.
 * @throws ClozeError `TOKENIZER_FILE_MISSING`, `TOKENIZER_FILE_READ`, and what `tokenizerFromJson` throws.
 * @example
 * const tokenizer = loadTokenizer("models/bert-base-uncased");
 */
export function loadTokenizer(path: string): Tokenizer {
  return build(readTokenizerFiles(path));
}

function build(files: TokenizerFiles): Tokenizer {
  try {
    return new Tokenizer(files);
  } catch (cause) {
    if (cause instanceof ClozeError) throw cause;
    throw new ClozeError("TOKENIZER_INVALID_JSON", "The tokenizer.json cannot be made into a tokenizer.", {
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: "Save the tokenizer again; if it loads elsewhere, please report it.",
      cause,
    });
  }
}

const pairOf = ({ pair }: EncodeOptions): string[] => (pair === undefined ? [] : [pair]);

function checkText(text: string): string {
  if (typeof text === "string") return text;
  throw new ClozeError("TOKENIZER_INPUT", "Only text can be encoded.", {
    expected: "a string",
    received: text === null ? "null" : typeof text,
    remedy: "Encode the texts of a list one by one, or with encodeBatch.",
  });
}
