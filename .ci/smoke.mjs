// A smoke test of the built packages on whatever node runs this: the native module loads, gradients flow.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const load = (path) => import(new URL(`../${path}`, import.meta.url).href);
const { backend, backward, linear, parameter, sum, tensor } = await load("packages/tensor/dist/index.js");
assert.equal(backend().name, "native", "the native module is built and loads");
const weight = parameter(tensor([[1, 2]]));
backward(sum(linear(tensor([[3, 4]]), weight)));
assert.deepEqual(weight.grad.toArray(), [[3, 4]]);
console.log(`smoke: node ${process.version}, ${backend().isa}, ${fileURLToPath(import.meta.url)}`);
