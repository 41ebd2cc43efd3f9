// Who owns which bytes, and until when. A Storage is one counted allocation; a scope frees what was created inside it.

import type { Backend } from "./backend/contract.js";
import { backend } from "./backend/index.js";
import type { DType } from "./dtype.js";
import { bytesPerElement } from "./dtype.js";
import { ClozeError } from "./errors.js";

/** What memory is used for; `memory.stats()` counts by it. */
export type MemoryKind = "weights" | "gradients" | "optimizer" | "saved" | "scratch";

const live: Record<MemoryKind, number> = { weights: 0, gradients: 0, optimizer: 0, saved: 0, scratch: 0 };
let liveBytes = 0;
let peakBytes = 0;
let storages = 0;

function count(kind: MemoryKind, bytes: number): void {
  live[kind] += bytes;
  liveBytes += bytes;
  if (liveBytes > peakBytes) peakBytes = liveBytes;
}

/** One allocation of a backend, shared by the tensors that view it and freed when the last lets go. */
export class Storage {
  readonly backend: Backend;
  readonly address: number;
  readonly dtype: DType;
  readonly length: number;
  readonly bytes: number;
  /** Grows with every write in place; what the backward pass saved must still have the version it had. */
  version = 0;
  // Apart from the storage, so that the safety net can count without keeping it alive.
  readonly #account: { kind: MemoryKind };
  #references = 1;

  constructor(length: number, dtype: DType, kind: MemoryKind = "scratch") {
    this.backend = backend();
    this.dtype = dtype;
    this.length = length;
    this.bytes = length * bytesPerElement[dtype];
    this.address = this.backend.allocate(length, dtype);
    this.#account = { kind };
    storages++;
    count(kind, this.bytes);
    const { backend: owner, address, bytes } = this;
    safetyNet.register(this, { backend: owner, address, bytes, account: this.#account }, this);
  }

  get references(): number {
    return this.#references;
  }

  get kind(): MemoryKind {
    return this.#account.kind;
  }

  set kind(kind: MemoryKind) {
    if (this.#references === 0) return;
    live[this.#account.kind] -= this.bytes;
    live[kind] += this.bytes;
    this.#account.kind = kind;
  }

  retain(): this {
    this.#references++;
    return this;
  }

  release(): void {
    if (--this.#references > 0) return;
    if (this.#references < 0) throw new ClozeError("INTERNAL", "A storage was released more often than retained");
    safetyNet.unregister(this);
    storages--;
    count(this.#account.kind, -this.bytes);
    this.backend.free(this.address);
  }
}

interface Lost {
  readonly backend: Backend;
  readonly address: number;
  readonly bytes: number;
  readonly account: { kind: MemoryKind };
}

// Tensors that nobody disposed and no scope owned: freed when the collector finds them. Nothing should rely on it.
const safetyNet = new FinalizationRegistry<Lost>(({ backend, address, bytes, account }) => {
  storages--;
  count(account.kind, -bytes);
  backend.free(address);
});

/** Bytes in use by kind, the highest total since `resetPeak`, and what is cached for reuse. */
export interface MemoryStats {
  readonly liveBytes: number;
  readonly peakBytes: number;
  readonly cachedBytes: number;
  /** Number of live allocations. */
  readonly allocations: number;
  readonly byKind: Readonly<Record<MemoryKind, number>>;
}

/** The engine's own account of its memory. */
export const memory = {
  stats: (): MemoryStats => ({
    liveBytes,
    peakBytes,
    cachedBytes: backend().cachedBytes(),
    allocations: storages,
    byKind: { ...live },
  }),
  resetPeak: (): void => {
    peakBytes = liveBytes;
  },
  /** Gives freed memory that is kept for reuse back to the system. */
  trim: (): void => backend().trim(),
};

/** What a scope can free. */
export interface Disposable {
  dispose(): void;
  readonly disposed: boolean;
  /** Kept tensors (parameters, optimizer state, gradients) outlive every scope until disposed by hand. */
  readonly kept: boolean;
}

const scopes: Set<Disposable>[] = [];

/** Called by every new tensor. */
export function register(value: Disposable): void {
  scopes[scopes.length - 1]?.add(value);
}

function collect(value: unknown, found: Set<unknown>): void {
  if (value === null || typeof value !== "object" || found.has(value)) return;
  found.add(value);
  if (ArrayBuffer.isView(value)) return;
  if (Array.isArray(value) || value instanceof Set) for (const item of value) collect(item, found);
  else if (value instanceof Map) for (const item of value.values()) collect(item, found);
  else if (Object.getPrototypeOf(value) === Object.prototype)
    for (const item of Object.values(value)) collect(item, found);
}

/**
 * Runs a function and frees every tensor created inside it that is neither returned (by itself, or inside arrays, maps
 * and plain objects), nor kept, nor saved for the backward pass. Scopes nest; what is returned belongs to the outer one.
 *
 * @throws SCOPE_ASYNC when the function returns a promise: a scope covers synchronous work only.
 * @example
 * const norm = scope(() => sqrt(sum(mul(x, x)))); // the two intermediates are freed here
 */
export function scope<T>(body: () => T): T {
  const created = new Set<Disposable>();
  scopes.push(created);
  const outer = scopes[scopes.length - 2];
  const close = (result: unknown) => {
    scopes.pop();
    const returned = new Set<unknown>();
    collect(result, returned);
    for (const value of created) {
      if (value.disposed || value.kept) continue;
      if (returned.has(value)) outer?.add(value);
      else value.dispose();
    }
  };
  let result: T;
  try {
    result = body();
  } catch (error) {
    close(undefined);
    throw error;
  }
  close(result);
  if (result instanceof Promise) {
    throw new ClozeError("SCOPE_ASYNC", "A scope covers synchronous work only, but its function returned a promise", {
      remedy: "Await outside, and open a scope around each synchronous part.",
    });
  }
  return result;
}
