// README.md of a fine-tuned model: what it is, what it was trained on, how well it does, how to make it again.
export interface ModelCard {
  readonly task: string;
  /** What the model was made from. */
  readonly base: string;
  readonly labels?: readonly string[];
  /** Files and their rows: "train" -> "train.tsv (2,000 rows)". */
  readonly data: Readonly<Record<string, string>>;
  /** Scores by data set. */
  readonly scores: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly settings: Readonly<Record<string, unknown>>;
  /** What was odd about the data. */
  readonly warnings: readonly string[];
  readonly command: string;
  readonly seed: number;
}

const cell = (value: unknown): string =>
  (typeof value === "object" ? JSON.stringify(value) : String(value)).replaceAll("|", "\\|");

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] => [
  `| ${head.join(" | ")} |`,
  `|${head.map(() => "---").join("|")}|`,
  ...rows.map((row) => `| ${row.join(" | ")} |`),
];

/** The card as Markdown, with the metadata that the Hugging Face hub reads. */
export function modelCard(card: ModelCard): string {
  const sets = Object.keys(card.scores);
  const measures = [...new Set(sets.flatMap((set) => Object.keys(card.scores[set])))];
  return [
    "---",
    `base_model: ${JSON.stringify(card.base)}`,
    "library_name: cloze",
    `tags: [${JSON.stringify(card.task)}]`,
    "---",
    "",
    `# A model for ${card.task}`,
    "",
    `Fine-tuned with Cloze from \`${card.base}\`, seed ${card.seed}.`,
    ...(card.labels === undefined ? [] : ["", `Labels: ${card.labels.join(", ")}`]),
    "",
    "## Data",
    ...Object.entries(card.data).map(([set, what]) => `- ${set}: ${what}`),
    ...card.warnings.map((line) => `- ${line}`),
    "",
    "## Scores",
    ...(sets.length === 0
      ? ["Not evaluated."]
      : table(
          ["", ...sets],
          measures.map((measure) => [
            measure,
            ...sets.map((set) => {
              const value = card.scores[set][measure];
              return value === undefined ? "" : value.toFixed(4);
            }),
          ]),
        )),
    "",
    "## Settings",
    ...table(
      ["", ""],
      Object.entries(card.settings).map(([name, value]) => [name, cell(value)]),
    ),
    "",
    "## Again",
    "```sh",
    card.command,
    "```",
    "",
    "## Use",
    "```sh",
    "cloze predict --model . --data texts.jsonl",
    "```",
    "",
  ].join("\n");
}
