// What readers of other floors build on: columns by their names, checked values, rows of a type.
export { type ColumnRole, resolveColumns } from "./columns.js";
export type { OpenRowsOptions } from "./open-rows.js";
export {
  badValue,
  isAbsent,
  listValue,
  numberValue,
  sourceOf,
  type TypedRows,
  textValue,
  typedRows,
} from "./typed-rows.js";
