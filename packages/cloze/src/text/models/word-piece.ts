import type { JsonReader } from "../json-reader.js";
import { Trie } from "../trie.js";
import { emptyTokens, type Model, type PieceTokens } from "./model.js";
import { missingUnknownToken, Vocabulary } from "./vocabulary.js";

/** Options of {@link WordPiece}. */
export interface WordPieceOptions {
  /** What stands for a word that cannot be written; `[UNK]` by default. */
  unknownToken?: string;
  /** What marks a token that does not begin a word; `##` by default. */
  continuingPrefix?: string;
  /** Words with more characters (code points) are unknown; 100 by default. */
  maximumCharacters?: number;
}

/** `WordPiece`: the longest token that fits, again and again; a word that cannot be finished is unknown. */
export class WordPiece implements Model {
  private readonly beginnings: Trie;
  private readonly continuations: Trie;
  private readonly unknownToken: string;
  private readonly maximumCharacters: number;

  constructor(
    private readonly vocabulary: Vocabulary,
    options: WordPieceOptions = {},
  ) {
    this.unknownToken = options.unknownToken ?? "[UNK]";
    this.maximumCharacters = options.maximumCharacters ?? 100;
    const prefix = options.continuingPrefix ?? "##";
    this.beginnings = new Trie(vocabulary.size * 4);
    this.continuations = new Trie(vocabulary.size * 2);
    for (const [token, id] of vocabulary.ids) {
      this.beginnings.add(token, id);
      if (token.startsWith(prefix)) this.continuations.add(token.slice(prefix.length), id);
    }
  }

  tokenize(piece: string): PieceTokens {
    const tokens = emptyTokens();
    if (piece.length > this.maximumCharacters && [...piece].length > this.maximumCharacters) {
      return this.unknown(piece);
    }
    let start = 0;
    while (start < piece.length) {
      const trie = start === 0 ? this.beginnings : this.continuations;
      let node = 0;
      let id = -1;
      let end = start;
      for (let unit = start; unit < piece.length; unit++) {
        node = trie.child(node, piece.charCodeAt(unit));
        if (node < 0) break;
        const value = trie.value(node);
        if (value >= 0) {
          id = value;
          end = unit + 1;
        }
      }
      if (id < 0) return this.unknown(piece);
      tokens.ids.push(id);
      tokens.starts.push(start);
      tokens.ends.push(end);
      start = end;
    }
    return tokens;
  }

  private unknown(piece: string): PieceTokens {
    const id = this.vocabulary.ids.get(this.unknownToken);
    if (id === undefined) throw missingUnknownToken("WordPiece", this.unknownToken);
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

/** Reads `{"type": "WordPiece", ...}`. */
export function readWordPiece(reader: JsonReader): Model {
  return new WordPiece(Vocabulary.read(reader, "vocab"), {
    unknownToken: reader.string("unk_token", "[UNK]"),
    continuingPrefix: reader.string("continuing_subword_prefix", "##"),
    maximumCharacters: reader.integer("max_input_chars_per_word", 100),
  });
}
