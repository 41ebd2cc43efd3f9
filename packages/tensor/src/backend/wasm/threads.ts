// The threads of one instance: as many helpers as were asked for, and a leader once a plan is to run beside JavaScript.
import { ClozeError } from "../../errors.js";
import type { WasmExports, WasmMemory, WasmModule } from "./web-assembly.js";
import { type PlanReply, type StartedWorker, startWorker, type WorkerStart } from "./workers.js";

const stackBytes = 1 << 19;

export interface WasmThreads {
  count(): number;
  set(count: number): void;
  runPlan(code: number, length: number, variables: number, threads: number): Promise<void>;
}

export const outOfMemory = (): ClozeError =>
  new ClozeError("OUT_OF_MEMORY", "WebAssembly has no memory left: it holds at most 4 GB", {
    remedy: "Use a smaller batch, shorter sequences or gradient accumulation.",
  });

/** Threads over shared memory. */
export function createThreads(module: WasmModule, memory: WasmMemory, exports: WasmExports): WasmThreads {
  let wanted = 1;
  const helpers: StartedWorker[] = [];
  const start = (role: WorkerStart["role"], reply: (reply: PlanReply) => void): StartedWorker => {
    const locals = exports.__tls_size.value;
    const room = exports.allocate(stackBytes + locals);
    if (room === 0) throw outOfMemory();
    return startWorker({ module, memory, stack: room + stackBytes, threadLocals: room + stackBytes, role }, reply);
  };
  const pending = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  let leader: StartedWorker | undefined;
  let lastId = 0;
  const settle = ({ id, error, outOfMemory: memoryShort }: PlanReply): void => {
    const run = pending.get(id);
    pending.delete(id);
    if (pending.size === 0) leader?.keepAlive(false);
    if (error === undefined) run?.resolve();
    else run?.reject(memoryShort ? outOfMemory() : new ClozeError("INTERNAL", `A plan failed: ${error}`));
  };
  return {
    count: () => wanted,
    set(count) {
      wanted = Math.max(1, Math.min(255, Math.floor(count)));
      // Helpers that are not wanted any more sleep.
      while (helpers.length < wanted - 1) helpers.push(start("helper", () => {}));
      exports.setThreads(wanted);
    },
    runPlan(code, length, variables, threads) {
      leader ??= start("leader", settle);
      const id = ++lastId;
      leader.keepAlive(true);
      const done = new Promise<void>((resolve, reject) => pending.set(id, { resolve, reject }));
      leader.send({ id, code, length, variables, threads });
      return done;
    },
  };
}
