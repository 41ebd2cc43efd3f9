// Reads ONNX files as the format says, by a path of its own: fields by number, and everything held against everything else.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

type Fields = Map<number, (bigint | Uint8Array)[]>;

/** Numbers with a shape; truths are 0 and 1. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export interface FileNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, number | number[] | string>;
}

export interface FileValue {
  readonly name: string;
  readonly type: number;
  readonly shape: readonly (number | string)[];
}

export interface OnnxFile {
  readonly version: number;
  readonly opset: number;
  readonly nodes: readonly FileNode[];
  readonly constants: ReadonlyMap<string, Numbers & { readonly type: number; readonly outside: boolean }>;
  readonly inputs: readonly FileValue[];
  readonly outputs: readonly FileValue[];
}

function fieldsOf(bytes: Uint8Array): Fields {
  const fields: Fields = new Map();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      if (at >= bytes.length) throw new Error("a message ends inside a number");
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const wire = tag & 7;
    const length = wire === 2 ? Number(varint()) : 4;
    if (wire !== 0 && wire !== 2 && wire !== 5) throw new Error(`wire type ${wire}`);
    if (wire !== 0 && at + length > bytes.length) throw new Error("a field is longer than its message");
    const value = wire === 0 ? varint() : bytes.subarray(at, at + length);
    if (wire !== 0) at += length;
    fields.set(tag >> 3, [...(fields.get(tag >> 3) ?? []), value]);
  }
  return fields;
}

const all = (fields: Fields, field: number) => (fields.get(field) ?? []) as Uint8Array[];
const text = (bytes: Uint8Array | bigint | undefined): string => Buffer.from((bytes as Uint8Array) ?? []).toString();
const signed = (value: unknown): number => Number(BigInt.asIntN(64, value as bigint));
const word = (fields: Fields, field: number): string => text(fields.get(field)?.[0]);
const whole = (fields: Fields, field: number): number => signed(fields.get(field)?.[0] ?? 0n);

function attributeOf(bytes: Uint8Array): [string, number | number[] | string] {
  const fields = fieldsOf(bytes);
  const kinds: Record<number, () => number | number[] | string> = {
    1: () => Buffer.from(all(fields, 2)[0]).readFloatLE(),
    2: () => whole(fields, 3),
    3: () => word(fields, 4),
    7: () => (fields.get(8) ?? []).map(signed),
  };
  return [word(fields, 1), kinds[whole(fields, 20)]()];
}

const readers: Record<number, [bytes: number, read: (view: DataView, at: number) => number]> = {
  1: [4, (view, at) => view.getFloat32(at, true)],
  2: [1, (view, at) => view.getUint8(at)],
  3: [1, (view, at) => view.getInt8(at)],
  7: [8, (view, at) => Number(view.getBigInt64(at, true))],
};

function constantOf(bytes: Uint8Array, folder: string) {
  const fields = fieldsOf(bytes);
  const shape = (fields.get(1) ?? []).map(signed);
  const type = whole(fields, 2);
  const entries = Object.fromEntries(
    all(fields, 13).map((entry) => [word(fieldsOf(entry), 1), word(fieldsOf(entry), 2)]),
  );
  const outside = whole(fields, 14) === 1;
  const raw = outside
    ? readFileSync(join(folder, entries.location)).subarray(+entries.offset, +entries.offset + +entries.length)
    : (all(fields, 9)[0] ?? new Uint8Array());
  const [size, read] = readers[type];
  const count = shape.reduce((a, b) => a * b, 1);
  if (raw.length !== count * size) throw new Error(`${word(fields, 8)}: ${raw.length} bytes for [${shape}]`);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  const data = Float64Array.from({ length: count }, (_, i) => read(view, i * size));
  return [word(fields, 8), { shape, data, type, outside }] as const;
}

function valueInfo(bytes: Uint8Array): FileValue {
  const fields = fieldsOf(bytes);
  const tensor = fieldsOf(all(fieldsOf(all(fields, 2)[0]), 1)[0]);
  const shape = all(fieldsOf(all(tensor, 2)[0]), 1).map((dimension) => {
    const size = fieldsOf(dimension);
    return size.has(1) ? whole(size, 1) : word(size, 2);
  });
  return { name: word(fields, 1), type: whole(tensor, 1), shape };
}

/** Reads a file; throws where a name is used before it is made, made twice, or a constant does not fill its shape. */
export function readOnnx(path: string): OnnxFile {
  const model = fieldsOf(readFileSync(path));
  const graph = fieldsOf(all(model, 7)[0]);
  const nodes = all(graph, 1).map((bytes): FileNode => {
    const fields = fieldsOf(bytes);
    return {
      operator: word(fields, 4),
      inputs: all(fields, 1).map(text),
      outputs: all(fields, 2).map(text),
      attributes: new Map(all(fields, 5).map(attributeOf)),
    };
  });
  const constants = all(graph, 5).map((bytes) => constantOf(bytes, dirname(path)));
  const inputs = all(graph, 11).map(valueInfo);
  const outputs = all(graph, 12).map(valueInfo);
  const known = new Set<string>();
  const make = (name: string): void => {
    if (known.has(name)) throw new Error(`${name} is made twice`);
    known.add(name);
  };
  for (const [name] of constants) make(name);
  for (const { name } of inputs) make(name);
  for (const { operator, inputs: names, outputs: made } of nodes) {
    for (const name of names)
      if (name !== "" && !known.has(name)) throw new Error(`${operator} takes ${name} too early`);
    made.forEach(make);
  }
  for (const { name } of outputs) if (!known.has(name)) throw new Error(`nothing makes the output ${name}`);
  const used = new Set(nodes.flatMap((node) => node.inputs));
  for (const [name] of constants) if (!used.has(name)) throw new Error(`nothing uses ${name}`);
  return {
    version: whole(model, 1),
    opset: whole(fieldsOf(all(model, 8)[0]), 2),
    nodes,
    constants: new Map(constants),
    inputs,
    outputs,
  };
}
