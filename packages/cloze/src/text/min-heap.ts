/**
 * A binary heap of (key, second key, payload) triples, smallest first; ties go by the second key, then the payload.
 *
 * Keys may be any finite number (negate them for a largest-first heap); payloads are 32-bit integers.
 */
export class MinHeap {
  private keys = new Float64Array(256);
  private seconds = new Float64Array(256);
  private payloads = new Int32Array(256);
  size = 0;
  /** The triple that the last `pop` took out. */
  key = 0;
  second = 0;
  payload = 0;

  push(key: number, second: number, payload: number): void {
    if (this.size === this.keys.length) this.grow();
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.before(key, second, payload, parent)) break;
      this.move(parent, at);
      at = parent;
    }
    this.set(at, key, second, payload);
  }

  /** Takes the smallest out; false where the heap is empty. */
  pop(): boolean {
    if (this.size === 0) return false;
    this.key = this.keys[0];
    this.second = this.seconds[0];
    this.payload = this.payloads[0];
    const last = --this.size;
    const key = this.keys[last];
    const second = this.seconds[last];
    const payload = this.payloads[last];
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= last) break;
      if (
        child + 1 < last &&
        this.before(this.keys[child + 1], this.seconds[child + 1], this.payloads[child + 1], child)
      ) {
        child++;
      }
      if (this.before(key, second, payload, child)) break;
      this.move(child, at);
      at = child;
    }
    this.set(at, key, second, payload);
    return true;
  }

  private before(key: number, second: number, payload: number, other: number): boolean {
    if (key !== this.keys[other]) return key < this.keys[other];
    if (second !== this.seconds[other]) return second < this.seconds[other];
    return payload < this.payloads[other];
  }

  private move(from: number, to: number): void {
    this.keys[to] = this.keys[from];
    this.seconds[to] = this.seconds[from];
    this.payloads[to] = this.payloads[from];
  }

  private set(at: number, key: number, second: number, payload: number): void {
    this.keys[at] = key;
    this.seconds[at] = second;
    this.payloads[at] = payload;
  }

  private grow(): void {
    const keys = new Float64Array(this.size * 2);
    const seconds = new Float64Array(this.size * 2);
    const payloads = new Int32Array(this.size * 2);
    keys.set(this.keys);
    seconds.set(this.seconds);
    payloads.set(this.payloads);
    this.keys = keys;
    this.seconds = seconds;
    this.payloads = payloads;
  }
}
