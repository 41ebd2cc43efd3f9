import type { JsonReader } from "../json-reader.js";
import type { NormalizedText } from "../normalized-text.js";
import type { EmitPiece, PreTokenizer } from "./pre-tokenizer.js";

/** Where a metaspace is put before a text: everywhere, only at the start of the original, nowhere. */
export type PrependScheme = "always" | "first" | "never";

/** `Metaspace`: makes spaces visible, and cuts before each. */
export class MetaspacePreTokenizer implements PreTokenizer {
  readonly needsAlignment: boolean;
  readonly cutsAtSpaces: boolean;

  /**
   * @param replacement the visible space.
   * @param prependScheme where one is put before the text.
   * @param cut whether to cut before each.
   */
  constructor(
    private readonly replacement: string,
    private readonly prependScheme: PrependScheme,
    private readonly cut: boolean,
  ) {
    this.needsAlignment = prependScheme === "first";
    this.cutsAtSpaces = prependScheme === "always" && cut;
  }

  split(source: NormalizedText, start: number, end: number, emit: EmitPiece): void {
    const piece = source.slice(start, end);
    const { replacement } = this;
    if (replacement.length === 1) piece.replaceInPlace(piece.text.replaceAll(" ", replacement));
    else piece.mapCharacters((code) => (code === 0x20 ? replacement : undefined));
    const prepends =
      this.prependScheme === "always" || (this.prependScheme === "first" && source.originalStart(start) === 0);
    if (prepends && !piece.text.startsWith(replacement)) piece.prepend(replacement);
    const { text } = piece;
    if (!this.cut) {
      emit(piece, 0, text.length);
      return;
    }
    let from = 0;
    while (from < text.length) {
      let to = text.indexOf(replacement, from + 1);
      if (to < 0) to = text.length;
      emit(piece, from, to);
      from = to;
    }
  }
}

/** Reads the fields that the pre-tokenizer and the decoder share, old spellings included. */
export function readMetaspaceFields(reader: JsonReader): { replacement: string; prependScheme: PrependScheme } {
  const schemes = ["always", "first", "never"] as const;
  const fallback = reader.boolean("add_prefix_space", true) ? "always" : "never";
  return {
    replacement: reader.character("replacement", "▁"),
    prependScheme: reader.choice("prepend_scheme", schemes, fallback),
  };
}
