/** One seed of 32 bits from a seed and what it is for: the call's seed, the layer, the place. */
export function deriveSeed(seed: number, ...keys: (number | string)[]): number {
  const mix = (value: number): number => {
    let x = value | 0;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return x ^ (x >>> 15);
  };
  let hash = mix(seed ^ mix(Math.floor(seed / 2 ** 32) + 0x9e3779b9));
  for (const key of keys) {
    for (const unit of typeof key === "number" ? [key] : Array.from(key, (letter) => letter.codePointAt(0) ?? 0)) {
      hash = mix(Math.imul(hash, 31) + unit + 1);
    }
    hash = mix(hash + 0x85ebca6b);
  }
  return hash >>> 0;
}
