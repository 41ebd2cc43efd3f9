// Word edit distance near the diagonal, with the alignment that translation edit rate's shifts need.

/** How a text and its reference lie beside each other. */
export interface EditAlignment {
  /** Insertions, deletions and substitutions. */
  readonly distance: number;
  /** Place in the text of each reference word; of one that the text lacks, the place before it (-1 at the start). */
  readonly places: Int32Array;
  /** 1 where a reference word has no equal partner. */
  readonly referenceErrors: Uint8Array;
  /** 1 where a word of the text has no equal partner. */
  readonly hypothesisErrors: Uint8Array;
}

// Only cells this near the (stretched) diagonal are looked at, as Tercom and sacrebleu do.
const beam = 25;

const unreached = 1e9;
const keep = 0;
const drop = 1;
const add = 2;

/**
 * Aligns the ids of two word sequences. Of equally short ways the one is taken that pairs words first, then drops a word of
 * the text, then adds one of the reference.
 *
 * @param hypothesis word ids, [words]
 * @param reference word ids, [words], at least one
 */
export function alignEdits(hypothesis: Int32Array, reference: Int32Array): EditAlignment {
  const rows = hypothesis.length;
  const width = reference.length + 1;
  const costs = new Int32Array((rows + 1) * width).fill(unreached);
  const steps = new Uint8Array((rows + 1) * width);
  for (let j = 0; j < width; j++) {
    costs[j] = j;
    steps[j] = add;
  }
  const slope = rows > 0 ? reference.length / rows : 1;
  // A long reference could leave neighbouring rows without common cells.
  const reach = beam < slope / 2 ? Math.ceil(slope / 2 + beam) : beam;
  for (let i = 1; i <= rows; i++) {
    const diagonal = Math.floor(i * slope);
    const first = Math.max(0, diagonal - reach);
    const end = i === rows ? width : Math.min(width, diagonal + reach);
    for (let j = first; j < end; j++) {
      const at = i * width + j;
      const dropping = costs[at - width] + 1;
      if (j === 0) {
        costs[at] = dropping;
        steps[at] = drop;
        continue;
      }
      let best = costs[at - width - 1] + (hypothesis[i - 1] === reference[j - 1] ? 0 : 1);
      let step = keep;
      if (dropping < best) {
        best = dropping;
        step = drop;
      }
      if (costs[at - 1] + 1 < best) {
        best = costs[at - 1] + 1;
        step = add;
      }
      costs[at] = best;
      steps[at] = step;
    }
  }
  const places = new Int32Array(reference.length);
  const referenceErrors = new Uint8Array(reference.length);
  const hypothesisErrors = new Uint8Array(rows);
  for (let i = rows, j = reference.length; i > 0 || j > 0; ) {
    const step = steps[i * width + j];
    if (step === keep) {
      i--;
      j--;
      places[j] = i;
      referenceErrors[j] = hypothesisErrors[i] = hypothesis[i] === reference[j] ? 0 : 1;
    } else if (step === drop) {
      hypothesisErrors[--i] = 1;
    } else {
      places[--j] = i - 1;
      referenceErrors[j] = 1;
    }
  }
  return { distance: costs[rows * width + reference.length], places, referenceErrors, hypothesisErrors };
}
