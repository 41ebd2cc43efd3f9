type Numbers = Float32Array | Int32Array | Uint8Array;

/** Arrays end to end, in a new one of the type that is given. */
export function joinArrays<Joined extends Numbers>(
  parts: readonly Joined[],
  type: new (length: number) => Joined,
): Joined {
  const joined = new type(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
