import { ClozeError } from "../../errors.js";
import type { Tokenizer } from "../../text/index.js";
import type { Candidates } from "../sampler.js";
import type { TokenFilter } from "./index.js";

function keptBy(filter: TokenFilter, ids: readonly number[], candidates: Candidates, tokenizer: Tokenizer): Candidates {
  const keep = filter.keep({ ids, candidates, textWith: (id) => tokenizer.decode([...ids, id]) });
  const places = Array.from(candidates.ids.keys()).filter((place) => keep[place] === 1);
  if (places.length > 0) {
    return {
      ids: Int32Array.from(places, (place) => candidates.ids[place]),
      logits: Float32Array.from(places, (place) => candidates.logits[place]),
    };
  }
  throw new ClozeError("GENERATION_FILTERED", `The filter ${filter.type} struck out every token`, {
    expected: "at least one that may come",
    received: `0 of ${candidates.ids.length}`,
  });
}

/**
 * What all filters, in their order, leave of the candidates for the next token.
 *
 * @param ids the text so far
 * @throws GENERATION_FILTERED
 */
export const applyFilters = (
  filters: readonly TokenFilter[],
  ids: readonly number[],
  candidates: Candidates,
  tokenizer: Tokenizer,
): Candidates => filters.reduce((left, filter) => keptBy(filter, ids, left, tokenizer), candidates);
