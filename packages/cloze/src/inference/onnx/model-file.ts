// From a graph to the bytes of a ModelProto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
import type { OnnxAttribute } from "../../encoder/onnx.js";
import type { OnnxNode, ValueInfo, WritableGraph } from "./graph.js";
import { elementTypes, type Initializer } from "./initializer.js";
import {
  bytesField,
  floatField,
  integerField,
  type LazyBytes,
  type Message,
  message,
  messageField,
  textField,
} from "./protobuf.js";

/** The first version of the format that has an operator set. */
const formatVersions: readonly (readonly [opset: number, version: number])[] = [
  [21, 10],
  [19, 9],
  [17, 8],
];

/** Sets of operators that can be written. */
export const opsets = { from: 17, to: 21 } as const;

/** Larger constants go to the file beside, where there is one; shapes and scalars never do. */
const outsideFrom = 1024;
/** Where constants start in the file beside, so that it can be mapped. */
const alignment = 4096;

const attributeTypes = { float: 1, integer: 2, text: 3, integers: 7 } as const;

function attributeValue(value: OnnxAttribute): Message {
  const type = (kind: keyof typeof attributeTypes): Message => integerField(20, attributeTypes[kind]);
  if (typeof value === "number") return message(integerField(3, value), type("integer"));
  if (typeof value === "string") return message(textField(4, value), type("text"));
  if ("float" in value) return message(floatField(2, value.float), type("float"));
  return message(...value.map((each) => integerField(8, each)), type("integers"));
}

const nodeMessage = ({ operator, name, inputs, outputs, attributes }: OnnxNode): Message =>
  message(
    ...inputs.map((input) => textField(1, input)),
    ...outputs.map((output) => textField(2, output)),
    textField(3, name),
    textField(4, operator),
    ...Object.entries(attributes).map(([key, value]) =>
      messageField(5, message(textField(1, key), attributeValue(value))),
    ),
  );

const valueMessage = ({ name, type, shape }: ValueInfo): Message => {
  const dimensions = shape.map((size) =>
    messageField(1, typeof size === "number" ? integerField(1, size) : textField(2, size)),
  );
  const tensor = message(integerField(1, elementTypes[type]), messageField(2, message(...dimensions)));
  return message(textField(1, name), messageField(2, messageField(1, tensor)));
};

interface Place {
  readonly file: string;
  readonly offset: number;
}

function tensorMessage({ name, type, shape, data }: Initializer, outside: Place | undefined): Message {
  const head = message(
    ...shape.map((size) => integerField(1, size)),
    integerField(2, elementTypes[type]),
    textField(8, name),
  );
  if (outside === undefined) return message(head, bytesField(9, data));
  const entries = { location: outside.file, offset: String(outside.offset), length: String(data.bytes) };
  return message(
    head,
    ...Object.entries(entries).map(([key, value]) => messageField(13, message(textField(1, key), textField(2, value)))),
    integerField(14, 1),
  );
}

/** Constants one behind the other, each at a multiple of the alignment. */
function layOut(constants: readonly Initializer[]) {
  const offsets = new Map<Initializer, number>();
  let end = 0;
  for (const constant of constants) {
    const offset = Math.ceil(end / alignment) * alignment;
    offsets.set(constant, offset);
    end = offset + constant.data.bytes;
  }
  const bytes: LazyBytes = {
    bytes: end,
    *read() {
      let at = 0;
      for (const [{ data }, offset] of offsets) {
        if (offset > at) yield new Uint8Array(offset - at);
        yield* data.read();
        at = offset + data.bytes;
      }
    },
  };
  return { offsets, bytes };
}

/** A model as bytes. */
export interface ModelFile {
  readonly model: Message;
  /** The large constants, where they stand in a file of their own. */
  readonly outside?: LazyBytes;
}

export interface ModelFileOptions {
  /** Name of the file beside. */
  readonly outsideFile: string;
  /** Where the model would be larger, its constants go to the file beside. */
  readonly largestBytes: number;
}

/** Describes the file of a graph; nothing large is made before it is written. */
export function modelFile(
  graph: WritableGraph,
  outputs: readonly ValueInfo[],
  { outsideFile, largestBytes }: ModelFileOptions,
): ModelFile {
  const { opset, initializers, nodes } = graph;
  const version = formatVersions.find(([from]) => opset >= from)?.[1] ?? 8;
  const write = (places: ReadonlyMap<Initializer, number>): Message => {
    const place = (constant: Initializer): Place | undefined => {
      const offset = places.get(constant);
      return offset === undefined ? undefined : { file: outsideFile, offset };
    };
    const content = message(
      ...nodes.map((node) => messageField(1, nodeMessage(node))),
      textField(2, "cloze"),
      ...initializers.map((constant) => messageField(5, tensorMessage(constant, place(constant)))),
      ...graph.inputs.map((input) => messageField(11, valueMessage(input))),
      ...outputs.map((output) => messageField(12, valueMessage(output))),
    );
    return message(
      integerField(1, version),
      textField(2, "cloze"),
      messageField(7, content),
      messageField(8, message(textField(1, ""), integerField(2, opset))),
    );
  };
  const whole = write(new Map());
  if (whole.bytes <= largestBytes) return { model: whole };
  const { offsets, bytes } = layOut(initializers.filter(({ data }) => data.bytes >= outsideFrom));
  return { model: write(offsets), outside: bytes };
}
