// Results in words, for the terminal and for documents.

import type { StoredResult } from "./result-file.js";
import type { ResultRow } from "./run-recipe.js";

type Numbers = { readonly mean: number | null; readonly deviation: number | null };

/** "0.312 ± 0.020" */
export const formatNumbers = ({ mean, deviation }: Numbers, digits = 3): string =>
  mean === null || Number.isNaN(mean)
    ? "none"
    : `${mean.toFixed(digits)}${deviation === null ? "" : ` ± ${deviation.toFixed(digits)}`}`;

/** A header and a row for each bound. */
export const resultTable = (rows: readonly (ResultRow | StoredResult["rows"][number])[]): string[][] => [
  ["claim", "paper", "ours", "bound", "held"],
  ...rows.map(({ claim, paper, ours, bound, held, digits }) => [
    claim,
    paper,
    formatNumbers(ours, digits),
    bound,
    held ? "yes" : "NO",
  ]),
];

/** "3 of 4 bounds held" */
export const heldWords = ({ rows }: { readonly rows: readonly { readonly held: boolean }[] }): string =>
  `${rows.filter(({ held }) => held).length} of ${rows.length} bounds held`;
