// Vectors as they are stored.
export {
  calibrateRanges,
  decodeVectors,
  encodeVectors,
  type Precision,
  precisions,
  truncateVectors,
  type VectorCodes,
  type VectorRanges,
} from "./codes.js";
export { checkFinite } from "./finite.js";
export { readNpy, writeNpy } from "./npy.js";
