// Modules are linked for shared memory, which not every page may have. All their instructions also work on memory of one's
// own: only the import has to say so.
import { ClozeError } from "../../errors.js";

const importSection = 2;
const memoryKind = 2;
const sharedFlag = 2;

/** A copy of a module whose imported memory is not shared. */
export function unshared(module: Uint8Array): Uint8Array {
  const copy = module.slice();
  let at = 8; // behind the header
  const number = (): number => {
    let [value, shift] = [0, 0];
    for (;;) {
      const byte = copy[at++];
      value += (byte & 0x7f) * 2 ** shift;
      shift += 7;
      if (byte < 0x80) return value;
    }
  };
  const skipName = (): void => {
    const length = number();
    at += length;
  };
  while (at < copy.length) {
    const section = number();
    const size = number();
    const end = at + size;
    for (let left = section === importSection ? number() : 0; left > 0; left--) {
      skipName();
      skipName();
      const kind = copy[at++];
      if (kind === memoryKind) {
        copy[at] &= ~sharedFlag;
        return copy;
      }
      if (kind !== 0) break;
      number(); // a function's type
    }
    at = end;
  }
  throw new ClozeError("INTERNAL", "A WebAssembly module imports no memory");
}
