// Which column plays which part: what the caller says, else the first well-known name.
import { ClozeError } from "../../errors.js";

/** A part that a column may play. */
export interface ColumnRole {
  /** Well-known names, the best first. */
  readonly names: readonly string[];
  /** Whether rows mean nothing without it. */
  readonly required?: boolean;
}

/** Role → column; null says that no column plays the part. */
export type ColumnChoice<Role extends string> = Readonly<Partial<Record<Role, string | null>>>;

/** Which column plays which part. */
export interface ResolvedColumns<Role extends string> {
  readonly columns: Readonly<Partial<Record<Role, string>>>;
  /** What was guessed, for people: `text: column "sentence"`. */
  readonly guesses: readonly string[];
}

const plain = (name: string): string => name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "");

/** The column of one of some names; case, `_`, `-` and spaces do not matter. */
export function findColumn(available: readonly string[], names: readonly string[]): string | undefined {
  for (const name of names) {
    const found = available.find((column) => column === name) ?? available.find((one) => plain(one) === plain(name));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The error for a part that no column plays; names the columns that exist. */
export const missingColumn = (
  path: string,
  role: string,
  expected: string,
  available: readonly string[],
  remedy = `Name it: columns { ${role}: "…" } (--column ${role}=…).`,
): ClozeError =>
  new ClozeError("DATA_COLUMN_MISSING", `${path} has no column for the ${role}`, {
    expected,
    received: `columns ${available.join(", ")}`,
    remedy,
  });

/** The column that a caller named, checked. */
export function givenColumn(path: string, role: string, name: string, available: readonly string[]): string {
  if (available.includes(name)) return name;
  throw missingColumn(path, role, JSON.stringify(name), available);
}

/**
 * Finds a column for each role.
 *
 * @throws DATA_COLUMN_MISSING for a named column that does not exist, a required role without one, or an unknown role
 */
export function resolveColumns<Role extends string>(
  path: string,
  available: readonly string[],
  roles: Readonly<Record<Role, ColumnRole>>,
  given: ColumnChoice<Role> = {} as ColumnChoice<Role>,
): ResolvedColumns<Role> {
  const columns: Partial<Record<Role, string>> = {};
  const guesses: string[] = [];
  for (const role of Object.keys(given)) {
    if (Object.hasOwn(roles, role)) continue;
    throw new ClozeError("DATA_COLUMN_MISSING", `No column plays the part "${role}" here`, {
      expected: Object.keys(roles).join(", "),
      received: role,
    });
  }
  const names = Object.keys(roles) as Role[];
  for (const role of names) {
    const name = given[role];
    if (typeof name === "string") columns[role] = givenColumn(path, role, name, available);
  }
  for (const role of names) {
    if (given[role] !== undefined) continue;
    const taken = Object.values(columns);
    const free = available.filter((column) => !taken.includes(column));
    const found = findColumn(free, roles[role].names);
    if (found !== undefined) {
      columns[role] = found;
      guesses.push(`${role}: column "${found}"`);
    } else if (roles[role].required === true) {
      throw missingColumn(path, role, `one of ${roles[role].names.slice(0, 8).join(", ")}`, available);
    }
  }
  return { columns, guesses };
}
