// JSON of answers that may hold hundreds of thousands of items.
import type { Steps } from "../../text/index.js";

/** Items of a list that are written in one step. */
const stepItems = 1024;

/** Characters that become bytes together. */
const pieceLength = 65_536;

/** Text that becomes bytes as it comes: to turn a hundred megabytes into bytes at once takes a quarter of a second. */
function createWriter() {
  const pieces: Buffer[] = [];
  let text = "";
  const flush = (): void => {
    pieces.push(Buffer.from(text, "utf8"));
    text = "";
  };
  return {
    write(more: string): void {
      text += more;
      if (text.length >= pieceLength) flush();
    },
    bytes(): Buffer {
      flush();
      return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
    },
  };
}
type Writer = ReturnType<typeof createWriter>;

function* listSteps(list: readonly unknown[], writer: Writer): Steps<void> {
  writer.write("[");
  if (list.length <= stepItems) {
    for (const [place, item] of list.entries()) {
      if (place > 0) writer.write(",");
      yield* valueSteps(item ?? null, writer);
    }
  } else {
    for (let from = 0; from < list.length; from += stepItems) {
      if (from > 0) writer.write(",");
      writer.write(JSON.stringify(list.slice(from, from + stepItems)).slice(1, -1));
      yield;
    }
  }
  writer.write("]");
}

function* valueSteps(value: unknown, writer: Writer): Steps<void> {
  if (Array.isArray(value)) yield* listSteps(value, writer);
  else if (typeof value !== "object" || value === null) writer.write(JSON.stringify(value));
  else {
    let opening = "{";
    for (const [name, field] of Object.entries(value)) {
      if (field === undefined) continue;
      writer.write(`${opening}${JSON.stringify(name)}:`);
      yield* valueSteps(field, writer);
      opening = ",";
    }
    writer.write(opening === "{" ? "{}" : "}");
  }
}

/** What is anything but undefined. */
export type JsonAnswer = object | string | number | boolean | null;

/**
 * The bytes of what JSON.stringify gives for plain values, a long list at a time in steps. Items of a long list are small,
 * those of a short one need not be.
 *
 * @example
 * atOnce(jsonSteps({ tags: ["O"], score: undefined })).toString(); // {"tags":["O"]}
 */
export function* jsonSteps(value: JsonAnswer): Steps<Buffer> {
  const writer = createWriter();
  yield* valueSteps(value, writer);
  return writer.bytes();
}
