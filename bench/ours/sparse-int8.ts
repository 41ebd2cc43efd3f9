// One sparse product of 8-bit codes of the suite `inference`, and the dense one of the same codes.
import { backend, disposeSteps, empty, findSteps, type StepForm, storeSteps, tensor } from "@cloze/tensor";
import { randomFloats, randomSource } from "../harness.js";

/** [rows, k] times a weight [n, k] in which that share of the blocks ([outputs, inputs]) is zero, stored in a form. */
export function sparseInt8Product(
  rows: number,
  n: number,
  k: number,
  [height, width]: readonly [number, number],
  form: StepForm,
  sparsity: number,
) {
  const { kernels } = backend();
  const next = randomSource(n + k + height * width);
  const across = Math.ceil(k / width);
  const kept = Array.from({ length: Math.ceil(n / height) * across }, () => next() >= sparsity);
  const weight = randomFloats(n * k, 1).map((value, i) =>
    kept[Math.floor(Math.floor(i / k) / height) * across + Math.floor((i % k) / width)] ? value : 0,
  );
  const stored = storeSteps(findSteps(weight, n, k, form));
  const x = tensor(randomFloats(rows * k, 2), [rows, k]).keep();
  const [y, codes, parameters] = [n, kernels.int8RowBytes(k) / 4, 2].map((columns) => empty([rows, columns]).keep());
  const packed = empty([Math.ceil(kernels.packedInt8Bytes(n, k) / 4)]).keep();
  const columns = empty([2, n]).keep();
  const whole = tensor(weight, [n, k]).keep();
  kernels.packInt8F32(whole.pointer, packed.pointer, columns.pointer, n, k);
  kernels.quantizeRowsF32(x.pointer, codes.pointer, parameters.pointer, rows, k);
  const [a, scales, to] = [codes.pointer, parameters.pointer, y.pointer];
  return {
    sparse: () =>
      kernels.linearSparseInt8F32(
        a,
        scales,
        stored.starts.pointer,
        stored.inputs.pointer,
        stored.weights.pointer,
        stored.columns.pointer,
        null,
        to,
        rows,
        n,
        k,
        form.height,
        Number(form.runs),
        0,
        null,
      ),
    dense: () => kernels.linearInt8F32(a, scales, packed.pointer, columns.pointer, null, to, rows, n, k, 0, null),
    close() {
      disposeSteps(stored);
      for (const each of [x, y, codes, parameters, packed, columns, whole]) each.dispose();
    },
  };
}
