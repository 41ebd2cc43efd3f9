import type { JsonReader } from "../json-reader.js";
import type { Model, PieceTokens } from "./model.js";
import { missingUnknownToken, Vocabulary } from "./vocabulary.js";

/** `WordLevel`: every piece is one token. */
export class WordLevel implements Model {
  constructor(
    private readonly vocabulary: Vocabulary,
    private readonly unknownToken: string,
  ) {}

  tokenize(piece: string): PieceTokens {
    const id = this.vocabulary.ids.get(piece) ?? this.vocabulary.ids.get(this.unknownToken);
    if (id === undefined) throw missingUnknownToken("WordLevel", this.unknownToken);
    return { ids: [id], starts: [0], ends: [piece.length], surfaces: null };
  }

  tokenToId(token: string): number | undefined {
    return this.vocabulary.ids.get(token);
  }

  idToToken(id: number): string | undefined {
    return this.vocabulary.token(id);
  }

  get size(): number {
    return this.vocabulary.size;
  }

  entries(): Iterable<[string, number]> {
    return this.vocabulary.ids;
  }
}

/** Reads `{"type": "WordLevel", ...}`. */
export function readWordLevel(reader: JsonReader): Model {
  return new WordLevel(Vocabulary.read(reader, "vocab"), reader.string("unk_token", "<unk>"));
}
