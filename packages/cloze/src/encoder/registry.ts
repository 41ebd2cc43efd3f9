// From the `type` of a configuration to the part that it names.
import { z } from "zod";
import { ClozeError } from "../errors.js";

interface Registered {
  readonly schema: z.ZodType;
}

/** The parsed configuration of one of the parts. */
export type ConfigOf<Parts extends Record<string, Registered>> = z.output<Parts[keyof Parts]["schema"]>;
/** The same before defaults. */
export type ConfigInputOf<Parts extends Record<string, Registered>> = z.input<Parts[keyof Parts]["schema"]>;

/** What an issue says; of alternatives, what each of them expects: zod says "Invalid input" only. */
function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== "invalid_union" || issue.message !== "Invalid input") return issue.message;
  const expected = issue.errors.map(([first]) => messageOf(first).replace(/^Invalid input: /, ""));
  return [...new Set(expected.map((text) => text.replace(/, received .*$/, "")))].join(" or ");
}

/**
 * Checks a configuration against the part that its `type` names.
 *
 * @param otherwise the part where no `type` is given; default: one must be given
 */
export function registrySchema<Parts extends Record<string, Registered>>(
  slot: string,
  parts: Parts,
  otherwise?: keyof Parts & string,
): z.ZodType<ConfigOf<Parts>, ConfigInputOf<Parts>> {
  const known = Object.keys(parts).join(", ");
  const type = otherwise === undefined ? z.string() : z.string().default(otherwise);
  const schema = z.looseObject({ type }).transform((config, context) => {
    const part = Object.hasOwn(parts, config.type) ? parts[config.type] : undefined;
    if (part === undefined) {
      context.addIssue({ code: "custom", path: ["type"], message: `no ${slot} is called "${config.type}" (${known})` });
      return z.NEVER;
    }
    const result = part.schema.safeParse(config);
    if (result.success) return result.data;
    for (const issue of result.error.issues) {
      context.addIssue({ code: "custom", path: issue.path, message: messageOf(issue) });
    }
    return z.NEVER;
  });
  return schema as unknown as z.ZodType<ConfigOf<Parts>, ConfigInputOf<Parts>>;
}

/**
 * Checks a value and fills in defaults.
 *
 * @throws CONFIG_INVALID naming the first field that is wrong
 */
export function parseConfig<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  what: string,
  code = "CONFIG_INVALID",
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const { path } = issue;
  let at: unknown = value;
  for (const key of path)
    at = typeof at === "object" && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined;
  throw new ClozeError(code, `${what}: ${path.map(String).join(".") || "the whole"} is wrong: ${messageOf(issue)}`, {
    received: JSON.stringify(at) ?? "nothing",
  });
}
