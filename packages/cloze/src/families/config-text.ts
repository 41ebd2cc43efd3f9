// config.json as text. Python tells 2 from 2.0, and newer versions of transformers refuse one for the other; JavaScript does not.

/** Names of fields that Python has as floating-point numbers. */
const fractional = /(prob|dropout|drop|eps|epsilon|theta|range|factor|alpha|beta|temperature|rate)$/i;
/** Fields whose keys are names that somebody chose. */
const named = new Set(["id2label", "label2id"]);

/** A configuration as JSON with two spaces; whole numbers in fractional fields are written as 2.0. */
export function configText(config: Readonly<Record<string, unknown>>): string {
  const marked = (value: unknown, key: string): unknown => {
    if (typeof value === "number" && Number.isInteger(value) && fractional.test(key)) return `\u0000${value}.0\u0000`;
    if (Array.isArray(value)) return value.map((item) => marked(item, key));
    if (typeof value !== "object" || value === null || named.has(key)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, marked(item, name)]));
  };
  // Numbers of 21 digits and more have an exponent, which Python reads as a fraction anyway.
  const text = JSON.stringify(marked(config, ""), null, 2);
  return `${text.replace(/"\\u0000(-?[\d.e+]+)\\u0000"/g, (_, number: string) =>
    number.includes("e") ? number.replace(/\.0$/, "") : number,
  )}\n`;
}
