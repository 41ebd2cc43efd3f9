// The vectors of an index as a program of the one queue: what waits is searched together, so that rows are read once for all.
import type { Ranking } from "../retrieval/evaluation/ranking.js";
import type { IndexSearchOptions, SearchIndex } from "../retrieval/store/contract.js";
import { inGroups } from "./abilities/in-groups.js";
import type { Program, Unit } from "./scheduler.js";

/** A query. */
export interface NearestUnit extends Unit {
  readonly vector: Float32Array;
  readonly options: IndexSearchOptions;
}

export type NearestProgram = Program<NearestUnit, Ranking>;

/** What a query counts for beside texts: a few dozen of them are searched together. How long they take is learnt. */
const tokens = 64;

export const nearestUnit = (vector: Float32Array, options: IndexSearchOptions): NearestUnit => ({
  vector,
  options,
  tokens,
});

/** Comparing every vector with queries, on other threads. */
export const nearestProgram = (index: Pick<SearchIndex, "searchVectorsAsync">, name: string): NearestProgram => ({
  name: `${name} nearest`,
  compute: (units) =>
    inGroups(
      units,
      ({ options: { depth, filter } }) => JSON.stringify([depth, filter]),
      (group) => {
        const [{ vector, options }] = group;
        const queries = new Float32Array(group.length * vector.length);
        group.forEach((unit, i) => {
          queries.set(unit.vector, i * vector.length);
        });
        return index.searchVectorsAsync(queries, options);
      },
    ),
});
