// The operators of https://onnx.ai/onnx/operators that exported models use, one by one and slowly, in float64.
import { type FileNode, type Numbers, type OnnxFile, readOnnx } from "./onnx-file.js";

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const stridesOf = (shape: readonly number[]): number[] => shape.map((_, i) => sizeOf(shape.slice(i + 1)));
const make = (shape: readonly number[], at: (index: number[]) => number): Numbers => {
  const index = shape.map(() => 0);
  const data = new Float64Array(sizeOf(shape));
  for (let i = 0; i < data.length; i++) {
    data[i] = at(index);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
  return { shape, data };
};
/** Strides of values that broadcast: 0 where there is one row for all. */
const known = new WeakMap<Numbers, readonly number[]>();
function broadcastStrides(x: Numbers): readonly number[] {
  const found = known.get(x) ?? stridesOf(x.shape).map((stride, axis) => (x.shape[axis] === 1 ? 0 : stride));
  known.set(x, found);
  return found;
}
/** An element; indices broadcast from the right. */
const element = (x: Numbers, index: readonly number[]): number => {
  const strides = broadcastStrides(x);
  const shift = index.length - strides.length;
  let at = 0;
  for (let axis = 0; axis < strides.length; axis++) at += index[axis + shift] * strides[axis];
  return x.data[at];
};
function broadcast(...shapes: (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map(({ length }) => length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    const size = sizes.find((each) => each !== 1) ?? 1;
    if (sizes.some((each) => each !== 1 && each !== size)) throw new Error(`no broadcast of ${JSON.stringify(shapes)}`);
    return size;
  });
}
const elementwise =
  (f: (...values: number[]) => number) =>
  (...inputs: Numbers[]): Numbers =>
    make(broadcast(...inputs.map(({ shape }) => shape)), (index) => f(...inputs.map((x) => element(x, index))));
const axisOf = (axis: number, { shape }: Numbers): number => (axis < 0 ? axis + shape.length : axis);

/** Abramowitz and Stegun 7.1.5 (a series) near 0, a continued fraction for the rest. */
function erf(x: number): number {
  if (x < 0) return -erf(-x);
  if (x > 6) return 1;
  if (x < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 80; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = x;
  for (let n = 80; n > 0; n--) fraction = x + n / 2 / fraction;
  return 1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / fraction;
}

const product = (a: Numbers, b: Numbers, aZero = 0): Numbers => {
  const inner = a.shape[a.shape.length - 1];
  if (inner !== b.shape[b.shape.length - 2]) throw new Error(`no product of [${a.shape}] and [${b.shape}]`);
  const shape = [
    ...broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2)),
    a.shape[a.shape.length - 2],
    b.shape[b.shape.length - 1],
  ];
  const [alongA, alongB] = [stridesOf(a.shape), stridesOf(b.shape)].map((strides) => strides.slice(-2));
  const start = (x: Numbers, index: readonly number[]): number => {
    const strides = broadcastStrides(x).slice(0, -2);
    return strides.reduce((at, stride, axis) => at + stride * index[axis + index.length - 2 - strides.length], 0);
  };
  return make(shape, (index) => {
    const [row, column] = index.slice(-2);
    let i = start(a, index) + row * alongA[0];
    let j = start(b, index) + column;
    let sum = 0;
    for (let k = 0; k < inner; k++, i++, j += alongB[0]) sum += (a.data[i] - aZero) * b.data[j];
    return sum;
  });
};
const reduced = (x: Numbers, axes: readonly number[], f: (values: number[]) => number): Numbers => {
  const over = axes.map((axis) => axisOf(axis, x));
  return make(
    x.shape.map((size, axis) => (over.includes(axis) ? 1 : size)),
    (start) => {
      let indices = [start];
      for (const axis of over) {
        indices = indices.flatMap((index) => Array.from({ length: x.shape[axis] }, (_, i) => index.with(axis, i)));
      }
      return f(indices.map((index) => element(x, index)));
    },
  );
};
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const roundEven = (x: number): number => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));
const flat = (x: Numbers): number[] => [...x.data];

// biome-ignore lint/suspicious/noExplicitAny: each operator knows the kinds of its attributes
type Operator = (inputs: Numbers[], attribute: (name: string) => any, outputs: number) => Numbers | Numbers[];
const reduction =
  (f: (values: number[]) => number): Operator =>
  ([x, axes], attribute) => {
    if (attribute("keepdims") !== 1) throw new Error("only with keepdims");
    return reduced(x, axes === undefined ? attribute("axes") : flat(axes), f);
  };
const each =
  (f: (...values: number[]) => number): Operator =>
  (inputs) =>
    elementwise(f)(...inputs);

const operators: Record<string, Operator> = {
  Identity: ([x]) => x,
  Add: each((a, b) => a + b),
  Sub: each((a, b) => a - b),
  Mul: each((a, b) => a * b),
  Div: each((a, b) => a / b),
  Pow: each((a, b) => a ** b),
  Max: each(Math.max),
  Abs: each(Math.abs),
  Sqrt: each(Math.sqrt),
  Erf: each(erf),
  Tanh: each(Math.tanh),
  Relu: each((x) => Math.max(0, x)),
  Sigmoid: each((x) => 1 / (1 + Math.exp(-x))),
  Not: each((x) => Number(x === 0)),
  And: each((a, b) => Number(a !== 0 && b !== 0)),
  Equal: each((a, b) => Number(a === b)),
  GreaterOrEqual: each((a, b) => Number(a >= b)),
  LessOrEqual: each((a, b) => Number(a <= b)),
  Where: each((condition, a, b) => (condition ? a : b)),
  Cast: ([x], attribute) => {
    if (![1, 7, 9].includes(attribute("to"))) throw new Error(`cast to ${attribute("to")}`);
    return elementwise((value) =>
      attribute("to") === 9 ? Number(value !== 0) : attribute("to") === 7 ? Math.trunc(value) : value,
    )(x);
  },
  Gelu: ([x], attribute) =>
    elementwise((value) =>
      attribute("approximate") === "tanh"
        ? 0.5 * value * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (value + 0.044715 * value ** 3)))
        : 0.5 * value * (1 + erf(value / Math.SQRT2)),
    )(x),
  QuantizeLinear: ([x, scale, zero]) =>
    elementwise((value, s, z) => Math.min(255, Math.max(0, roundEven(value / s) + z)))(x, scale, zero),
  MatMulInteger: ([a, b, aZero]) => product(a, b, aZero?.data[0]),
  MatMul: ([a, b]) => product(a, b),
  Shape: ([x]) => ({ shape: [x.shape.length], data: Float64Array.from(x.shape) }),
  Range: ([start, end, step]) => {
    const length = Math.max(0, Math.ceil((end.data[0] - start.data[0]) / step.data[0]));
    return make([length], ([i]) => start.data[0] + i * step.data[0]);
  },
  Gather: ([x, indices], attribute) => {
    const axis = axisOf(attribute("axis"), x);
    const rank = indices.shape.length;
    return make([...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)], (index) => {
      const row = element(indices, index.slice(axis, axis + rank));
      if (row < 0 || row >= x.shape[axis]) throw new Error(`row ${row} of ${x.shape[axis]}`);
      return element(x, [...index.slice(0, axis), row, ...index.slice(axis + rank)]);
    });
  },
  GatherElements: ([x, indices], attribute) =>
    make(indices.shape, (index) => {
      const row = element(indices, index);
      if (row < 0 || row >= x.shape[attribute("axis")]) throw new Error(`row ${row} of ${x.shape}`);
      return element(x, index.with(attribute("axis"), row));
    }),
  GatherND: ([x, indices], attribute) => {
    if (attribute("batch_dims") !== 1 || indices.shape[1] !== 1) throw new Error("only one index for each row");
    return make([x.shape[0], ...x.shape.slice(2)], ([row, ...rest]) => element(x, [row, indices.data[row], ...rest]));
  },
  Reshape: ([x, wanted]) => {
    const shape = flat(wanted).map((size, axis) => (size === 0 ? x.shape[axis] : size));
    if (sizeOf(shape) !== x.data.length) throw new Error(`[${x.shape}] as [${shape}]`);
    return { shape, data: x.data };
  },
  Unsqueeze: ([x, axes]) => {
    const shape = [...x.shape];
    for (const axis of flat(axes).sort((a, b) => a - b)) shape.splice(axis, 0, 1);
    return { shape, data: x.data };
  },
  Squeeze: ([x, axes]) => {
    if (flat(axes).some((axis) => x.shape[axis] !== 1)) throw new Error(`squeeze of [${x.shape}]`);
    return { shape: x.shape.filter((_, axis) => !flat(axes).includes(axis)), data: x.data };
  },
  Transpose: ([x], attribute) => {
    const order: number[] = attribute("perm");
    return make(
      order.map((axis) => x.shape[axis]),
      (index) => {
        const source: number[] = [];
        order.forEach((axis, i) => {
          source[axis] = index[i];
        });
        return element(x, source);
      },
    );
  },
  Split: ([x, parts], attribute, outputs) => {
    const axis = axisOf(attribute("axis"), x);
    if (parts.data.length !== outputs || sum(flat(parts)) !== x.shape[axis]) throw new Error(`split of [${x.shape}]`);
    let from = 0;
    return flat(parts).map((size) => {
      const start = from;
      from += size;
      return make(x.shape.with(axis, size), (index) => element(x, index.with(axis, index[axis] + start)));
    });
  },
  Concat: (inputs, attribute) => {
    const axis = axisOf(attribute("axis"), inputs[0]);
    const ends = inputs.map((_, i) => sum(inputs.slice(0, i + 1).map(({ shape }) => shape[axis])));
    return make(inputs[0].shape.with(axis, ends[ends.length - 1]), (index) => {
      const part = ends.findIndex((end) => index[axis] < end);
      return element(inputs[part], index.with(axis, index[axis] - (ends[part - 1] ?? 0)));
    });
  },
  Expand: ([x, wanted]) => make(broadcast(x.shape, flat(wanted)), (index) => element(x, index)),
  CumSum: ([x, axis]) => {
    const over = axis.data[0];
    return make(x.shape, (index) =>
      sum(Array.from({ length: index[over] + 1 }, (_, i) => element(x, index.with(over, i)))),
    );
  },
  Softmax: ([x], attribute) => {
    const largest = reduced(x, [attribute("axis")], (values) => Math.max(...values));
    const powers = elementwise((value, most) => Math.exp(value - most))(x, largest);
    return elementwise((a, b) => a / b)(powers, reduced(powers, [attribute("axis")], sum));
  },
  LayerNormalization: ([x, weight, bias], attribute) => {
    if (attribute("axis") !== -1) throw new Error("only over the last axis");
    const mean = reduced(x, [-1], (values) => sum(values) / values.length);
    const centred = elementwise((a, b) => a - b)(x, mean);
    const variance = reduced(centred, [-1], (values) => sum(values.map((value) => value ** 2)) / values.length);
    const scaled = elementwise((a, v, w) => (a / Math.sqrt(v + attribute("epsilon"))) * w)(centred, variance, weight);
    return bias === undefined ? scaled : elementwise((a, b) => a + b)(scaled, bias);
  },
  ReduceSum: reduction(sum),
  ReduceMean: reduction((values) => sum(values) / values.length),
  ReduceMax: reduction((values) => Math.max(...values)),
};

function runNode({ operator, inputs, outputs, attributes }: FileNode, values: Map<string, Numbers>): void {
  const run = operators[operator];
  if (run === undefined) throw new Error(`no operator ${operator}`);
  const given = inputs.map((name) => values.get(name)) as Numbers[];
  const made = [run(given, (name) => attributes.get(name), outputs.length)].flat() as Numbers[];
  outputs.forEach((name, i) => {
    values.set(name, made[i]);
  });
}

/** The outputs of a model for its inputs, held against the shapes that it declares. */
export function runOnnx(file: OnnxFile, inputs: Readonly<Record<string, Numbers>>): Map<string, Numbers> {
  const values = new Map<string, Numbers>(file.constants);
  for (const { name } of file.inputs) values.set(name, inputs[name]);
  for (const node of file.nodes) runNode(node, values);
  const { shape } = inputs.input_ids ?? inputs.pixel_values;
  const sizes: Record<string, number> = { batch_size: shape[0], sequence_length: shape[1] };
  return new Map(
    file.outputs.map(({ name, shape: declared }) => {
      const value = values.get(name) as Numbers;
      const wanted = declared.map((size) => (typeof size === "number" ? size : sizes[size]));
      if (wanted.join() !== value.shape.join()) throw new Error(`${name} is [${value.shape}], not [${declared}]`);
      return [name, value];
    }),
  );
}

/** The interpreter in the form of onnxruntime-node. */
export const interpreter = {
  InferenceSession: {
    async create(path: string) {
      const file = readOnnx(path);
      return {
        async run(feeds: Readonly<Record<string, unknown>>) {
          const outputs = runOnnx(file, feeds as Readonly<Record<string, Numbers>>);
          return Object.fromEntries([...outputs].map(([name, { data }]) => [name, { data: Float32Array.from(data) }]));
        },
        async release() {},
      };
    },
  },
  Tensor: class implements Numbers {
    readonly data: Float64Array;
    constructor(
      _type: string,
      data: BigInt64Array | Float32Array,
      readonly shape: readonly number[],
    ) {
      this.data = Float64Array.from(data as ArrayLike<bigint | number>, Number);
    }
  },
};
