// Threads of the WebAssembly backend: helpers, which wait inside the module for work to share, and a leader, which runs whole
// plans while JavaScript goes on. Both are workers with an instance of their own over the same memory.
import { nodeModule } from "../../host.js";
import { platform, type WasmMemory, type WasmModule } from "./web-assembly.js";

/** What a worker needs to become a thread. */
export interface WorkerStart {
  readonly module: WasmModule;
  readonly memory: WasmMemory;
  /** The upper end of its stack. */
  readonly stack: number;
  /** Memory for its thread-local variables. */
  readonly threadLocals: number;
  readonly role: "helper" | "leader";
}

/** Asks the leader to run a plan. */
export interface PlanRequest {
  readonly id: number;
  readonly code: number;
  readonly length: number;
  readonly variables: number;
  readonly threads: number;
}
export interface PlanReply {
  readonly id: number;
  /** Why it failed, and whether for want of memory. */
  readonly error?: string;
  readonly outOfMemory?: boolean;
}

export interface StartedWorker {
  send(request: PlanRequest): void;
  /** While true, the worker keeps the process alive. */
  keepAlive(wanted: boolean): void;
}

/**
 * The program of a worker, as text, so that it needs no file beside the bundle or the page that it comes from. It runs in
 * Node and in browsers.
 */
const program = `
const { sin, cos, exp, log, pow } = Math;
function run(port, listen, { module, memory, stack, threadLocals, role }) {
  const { exports } = new WebAssembly.Instance(module, { env: { memory }, math: { sin, cos, exp, log, pow } });
  exports.__stack_pointer.value = stack;
  exports.__wasm_init_tls(threadLocals);
  if (role === "helper") {
    try {
      exports.workerLoop();
    } catch (error) {
      exports.workerFailed();
      throw error;
    }
  }
  listen(({ id, code, length, variables, threads }) => {
    try {
      exports.runPlan(code, length, variables, threads);
      port.postMessage({ id });
    } catch (error) {
      exports.__stack_pointer.value = stack;
      port.postMessage({ id, error: String(error), outOfMemory: exports.recover() === 1 });
    }
  });
}
if (typeof require === "function") {
  const { parentPort, workerData } = require("node:worker_threads");
  run(parentPort, (handle) => parentPort.on("message", handle), workerData);
} else {
  onmessage = ({ data }) => run(self, (handle) => { onmessage = (event) => handle(event.data); }, data);
}
`;

function startInNode(
  { Worker }: typeof import("node:worker_threads"),
  start: WorkerStart,
  reply: (reply: PlanReply) => void,
): StartedWorker {
  // Nothing of the process's own flags: loaders of TypeScript, say, would only cost time.
  const worker = new Worker(program, { eval: true, workerData: start, execArgv: [] });
  worker.on("message", reply);
  // A helper that failed has told the module, which stops counting on it.
  worker.on("error", () => {});
  worker.unref();
  return {
    send: (request) => worker.postMessage(request),
    keepAlive: (wanted) => (wanted ? worker.ref() : worker.unref()),
  };
}

/** Starts a thread; it joins when it is ready. */
export function startWorker(start: WorkerStart, reply: (reply: PlanReply) => void): StartedWorker {
  const threads = nodeModule("node:worker_threads");
  if (threads !== undefined) return startInNode(threads, start, reply);
  if (platform.Worker === undefined) throw new Error("This platform has no workers");
  const url = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
  const worker = new platform.Worker(url);
  worker.onmessage = ({ data }) => reply(data as PlanReply);
  worker.postMessage(start);
  return { send: (request) => worker.postMessage(request), keepAlive: () => {} };
}
