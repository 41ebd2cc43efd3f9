import { ClozeError } from "../../errors.js";
import { isIdentifier, JsonReader } from "../json-reader.js";

/** Tokens by id and ids by token. */
export class Vocabulary {
  readonly ids: Map<string, number>;
  private readonly tokens: string[];
  private readonly sparse: Map<number, string> | null;

  /** @throws ClozeError `TOKENIZER_DUPLICATE_ID` where two tokens have the same id. */
  constructor(entries: Iterable<readonly [string, number]>) {
    this.ids = new Map(entries);
    let highest = -1;
    for (const id of this.ids.values()) if (id > highest) highest = id;
    const dense = highest < this.ids.size * 4 + 1024;
    this.tokens = dense ? new Array<string>(highest + 1) : [];
    this.sparse = dense ? null : new Map();
    for (const [token, id] of this.ids) {
      const other = this.token(id);
      if (other !== undefined) {
        throw new ClozeError("TOKENIZER_DUPLICATE_ID", `Two tokens of the vocabulary have the id ${id}.`, {
          expected: "one token for each id",
          received: `${JSON.stringify(other)} and ${JSON.stringify(token)}`,
          remedy: "Give each token an id of its own.",
        });
      }
      if (this.sparse) this.sparse.set(id, token);
      else this.tokens[id] = token;
    }
  }

  get size(): number {
    return this.ids.size;
  }

  token(id: number): string | undefined {
    return this.sparse ? this.sparse.get(id) : this.tokens[id];
  }

  /** Reads `{"token": id, ...}`. */
  static read(reader: JsonReader, key: string): Vocabulary {
    const { object, path } = JsonReader.of(reader.value(key), reader.at(key));
    const entries = Object.entries(object);
    for (const [token, id] of entries) {
      if (!isIdentifier(id)) throw JsonReader.invalid(`${path}[${JSON.stringify(token)}]`, "a token id", id);
    }
    return new Vocabulary(entries as [string, number][]);
  }
}

/** The error for a piece that a model without an unknown token cannot write. */
export function missingUnknownToken(model: string, unknown: string | null): ClozeError {
  return new ClozeError(
    "TOKENIZER_NO_UNKNOWN_TOKEN",
    `${model}: some text has no tokens, and there is no unknown token.`,
    {
      expected: "an unknown token that is in the vocabulary",
      received: unknown === null ? "none" : JSON.stringify(unknown),
      remedy: "Name a token of the vocabulary in the model's unk_token (unk_id for Unigram).",
    },
  );
}
