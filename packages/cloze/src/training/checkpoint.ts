// A checkpoint is a folder that appears whole or not at all: written under another name, flushed, renamed; a pointer file
// names the newest. A crash at any moment leaves the previous one in place.
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { copyInto, readSafetensors, type Tensor, writeFileAtomic, writeSafetensors } from "@cloze/tensor";
import { ClozeError } from "../errors.js";

/** What a run needs to go on as if it had not stopped. */
export interface TrainerState {
  readonly version: 1;
  readonly step: number;
  /** Seconds trained so far. */
  readonly elapsed: number;
  /** State of the batch source, as it gave it. */
  readonly data: unknown;
  /** Hash of what must not change between the runs: parameter names and shapes, options. */
  readonly fingerprint: string;
}

const pointerName = "latest.json";

function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

const namePattern = /^checkpoint-(\d+)(?:\.(\d+))?$/;

/** A name that is free: a whole checkpoint is never replaced, only followed by another. */
function freeName(folder: string, step: number): string {
  for (let attempt = 0; ; attempt++) {
    const name = attempt === 0 ? `checkpoint-${step}` : `checkpoint-${step}.${attempt}`;
    if (!existsSync(join(folder, name))) return name;
  }
}

/** What the system said; not the name of a file that is gone, nor what to do about it. */
const reasonOf = (cause: unknown): string =>
  cause instanceof ClozeError && cause.received !== undefined
    ? cause.received
    : cause instanceof Error
      ? cause.message
      : String(cause);

/** Writes a checkpoint under a temporary name, then renames it. Returns its name. */
function writeCheckpoint(
  folder: string,
  state: TrainerState,
  parameters: ReadonlyMap<string, Tensor>,
  optimizer: ReadonlyMap<string, Tensor>,
): string {
  mkdirSync(folder, { recursive: true });
  const name = freeName(folder, state.step);
  const temporary = join(folder, `.${name}.${process.pid}`);
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary);
  try {
    writeSafetensors(join(temporary, "model.safetensors"), parameters);
    writeSafetensors(join(temporary, "optimizer.safetensors"), optimizer);
    const handle = openSync(join(temporary, "trainer_state.json"), "w");
    try {
      writeSync(handle, JSON.stringify(state));
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    syncFolder(temporary);
    renameSync(temporary, join(folder, name));
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
  return name;
}

/** Writes checkpoint `step` and removes older ones. Returns its folder. @throws CHECKPOINT_WRITE; then older ones are intact */
export function saveCheckpoint(
  folder: string,
  state: TrainerState,
  parameters: ReadonlyMap<string, Tensor>,
  optimizer: ReadonlyMap<string, Tensor>,
): string {
  let name: string;
  try {
    name = writeCheckpoint(folder, state, parameters, optimizer);
  } catch (cause) {
    const [before, next] =
      findCheckpoint(folder) === undefined
        ? ["there is none before it", "start again"]
        : ["the one before is intact", "go on with --resume"];
    throw new ClozeError("CHECKPOINT_WRITE", `The checkpoint of step ${state.step} could not be written; ${before}`, {
      received: reasonOf(cause),
      remedy: `Free some space or choose another folder, then ${next}.`,
      cause,
    });
  }
  writeFileAtomic(join(folder, pointerName), JSON.stringify({ checkpoint: name }));
  syncFolder(folder);
  for (const entry of readdirSync(folder)) {
    if (entry !== name && /^\.?checkpoint-\d+/.test(entry))
      rmSync(join(folder, entry), { recursive: true, force: true });
  }
  return join(folder, name);
}

/** The newest whole checkpoint of a run, or undefined. */
export function findCheckpoint(folder: string): string | undefined {
  const pointer = join(folder, pointerName);
  if (existsSync(pointer)) {
    try {
      const { checkpoint } = JSON.parse(readFileSync(pointer, "utf8")) as { checkpoint: string };
      if (existsSync(join(folder, checkpoint, "trainer_state.json"))) return join(folder, checkpoint);
    } catch {
      // A pointer that cannot be read: look at the folders themselves.
    }
  }
  if (!existsSync(folder) || !statSync(folder).isDirectory()) return undefined;
  const whole = readdirSync(folder)
    .map((entry) => namePattern.exec(entry))
    .filter((match) => match !== null)
    .sort((a, b) => Number(b[1]) - Number(a[1]) || Number(b[2] ?? 0) - Number(a[2] ?? 0));
  return whole.length > 0 ? join(folder, whole[0][0]) : undefined;
}

/** Removes all checkpoints of a run that is over. */
export function removeCheckpoints(folder: string): void {
  for (const entry of readdirSync(folder)) {
    if (entry === pointerName || /^\.?checkpoint-\d+/.test(entry))
      rmSync(join(folder, entry), { recursive: true, force: true });
  }
}

/** Reads a checkpoint into existing tensors and returns its state. */
export function loadCheckpoint(
  checkpoint: string,
  fingerprint: string,
  parameters: ReadonlyMap<string, Tensor>,
  loadOptimizer: (state: Map<string, Tensor>) => void,
): TrainerState {
  let state: TrainerState;
  try {
    state = JSON.parse(readFileSync(join(checkpoint, "trainer_state.json"), "utf8")) as TrainerState;
  } catch (cause) {
    throw new ClozeError("CHECKPOINT_READ", `${checkpoint} holds no readable trainer_state.json`, { cause });
  }
  if (state.fingerprint !== fingerprint) {
    throw new ClozeError("CHECKPOINT_MISMATCH", `${checkpoint} belongs to a run with another model, data or options`, {
      expected: fingerprint,
      received: state.fingerprint,
      remedy: "Give the options of the first run, or another output folder.",
    });
  }
  const model = readSafetensors(join(checkpoint, "model.safetensors"));
  for (const [name, parameter] of parameters) {
    const loaded = model.load(name);
    copyInto(parameter, loaded);
    loaded.dispose();
  }
  model.close();
  const file = readSafetensors(join(checkpoint, "optimizer.safetensors"));
  const loaded = new Map(file.names.map((name) => [name, file.load(name)]));
  file.close();
  try {
    loadOptimizer(loaded);
  } finally {
    // An optimizer keeps copies.
    for (const tensor of loaded.values()) tensor.dispose();
  }
  return state;
}
