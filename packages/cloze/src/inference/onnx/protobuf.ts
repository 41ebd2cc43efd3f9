// The wire format of Protocol Buffers, as far as ONNX files need it: messages that are larger than memory may hold.

/** Bytes that are made when they are written. */
export interface LazyBytes {
  readonly bytes: number;
  read(): Iterable<Uint8Array>;
}

/** Fields of a message, in their order. */
export interface Message {
  readonly bytes: number;
  readonly chunks: readonly (Uint8Array | LazyBytes)[];
}

const wireVarint = 0;
const wireBytes = 2;
const wireFloat = 5;

/** 7 bits a byte, low ones first; negative numbers as 64 bits in two's complement. */
function varint(value: number | bigint): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return [...bytes, Number(rest)];
}

const tag = (field: number, wire: number): number[] => varint(8 * field + wire);
const literal = (bytes: Uint8Array): Message => ({ bytes: bytes.length, chunks: [bytes] });

/** Several fields as one message. */
export function message(...fields: readonly Message[]): Message {
  return {
    bytes: fields.reduce((sum, { bytes }) => sum + bytes, 0),
    chunks: fields.flatMap(({ chunks }) => chunks),
  };
}

/** A field with an integer. */
export const integerField = (field: number, value: number | bigint): Message =>
  literal(Uint8Array.from([...tag(field, wireVarint), ...varint(value)]));

/** A field with a float32. */
export function floatField(field: number, value: number): Message {
  const head = tag(field, wireFloat);
  const bytes = new Uint8Array(head.length + 4);
  bytes.set(head);
  new DataView(bytes.buffer).setFloat32(head.length, value, true);
  return literal(bytes);
}

/** A field with text. */
export const textField = (field: number, text: string): Message => messageField(field, literal(Buffer.from(text)));

/** A field with another message. */
export const messageField = (field: number, content: Message): Message =>
  message(literal(Uint8Array.from([...tag(field, wireBytes), ...varint(content.bytes)])), content);

/** A field with bytes that are made when they are written. */
export const bytesField = (field: number, content: LazyBytes): Message =>
  messageField(field, { bytes: content.bytes, chunks: [content] });

/** The bytes of a message, small pieces joined. */
export function* encode({ chunks }: Message): Generator<Uint8Array> {
  const joined = 1 << 16;
  let pending: Uint8Array[] = [];
  let size = 0;
  for (const chunk of chunks) {
    if (chunk instanceof Uint8Array) {
      pending.push(chunk);
      size += chunk.length;
      if (size < joined) continue;
    }
    yield Buffer.concat(pending);
    pending = [];
    size = 0;
    if (!(chunk instanceof Uint8Array)) yield* chunk.read();
  }
  yield Buffer.concat(pending);
}
