// `npm run --silent bench -- <suite> [case] [--json] [--peers-only]`: the same work done by Cloze and by its peers, in one run.
import { closeEverything, type Options, type Row } from "./harness.js";
import { electra } from "./suites/electra.js";
import { embedding, embeddingTraining } from "./suites/embedding.js";
import { encoder } from "./suites/encoder.js";
import { families } from "./suites/families.js";
import { gemm } from "./suites/gemm.js";
import { generation } from "./suites/generation.js";
import { inference } from "./suites/inference.js";
import { memory } from "./suites/memory.js";
import { objectives } from "./suites/objectives.js";
import { ops } from "./suites/ops.js";
import { retrieval } from "./suites/retrieval.js";
import { serving } from "./suites/serving.js";
import { tokenizer } from "./suites/tokenizer.js";
import { training } from "./suites/training.js";
import { wasm } from "./suites/wasm.js";

const suites: Record<string, (options: Options) => Promise<Row[]>> = {
  gemm,
  ops,
  encoder,
  inference,
  families,
  training,
  electra,
  memory,
  objectives,
  tokenizer,
  retrieval,
  wasm,
  embedding,
  "embedding-training": embeddingTraining,
  serving,
  generation,
};
const usage = `Usage: npm run --silent bench -- <suite> [case] [--json] [--peers-only]
  suites: ${Object.keys(suites).join(", ")}
  case           only cases whose name holds this, such as "bert-base 8x128" (suites encoder, families, generation, inference, gemm, training)
  --json         standard output is one JSON array of rows
  --peers-only   measure the peers and leave our side out`;

function table(rows: readonly Row[]): string {
  const number = (value: number | null, digits = 3): string =>
    value === null
      ? "-"
      : Math.abs(value) >= 1000
        ? Math.round(value).toLocaleString("en-US")
        : value.toPrecision(Math.max(digits, 1));
  const lines = [
    ["case", "ours", "peer", "unit", "ratio", "of peak", "peer's name"],
    ...rows.map((row) => [
      row.case,
      number(row.ours),
      number(row.peer),
      row.unit,
      row.ratio === null ? "-" : `${row.ratio.toFixed(2)}x`,
      row.ofPeak === null ? "-" : row.ofPeak.toFixed(2),
      row.peerName,
    ]),
  ];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const left = new Set([0, 3, 6]);
  return lines
    .map((line) =>
      line
        .map((text, i) => (left.has(i) ? text.padEnd(widths[i]) : text.padStart(widths[i])))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

async function main(args: string[]): Promise<number> {
  const flags = new Set(args.filter((argument) => argument.startsWith("-")));
  const names = args.filter((argument) => !argument.startsWith("-"));
  if (flags.has("--help") || flags.has("-h")) {
    console.log(usage);
    return 0;
  }
  const unknown = [...flags].find((flag) => flag !== "--json" && flag !== "--peers-only");
  if (unknown !== undefined || names.length < 1 || names.length > 2 || !Object.hasOwn(suites, names[0])) {
    const wrong = unknown ?? names.slice(0, 1).find((name) => !Object.hasOwn(suites, name));
    console.error(wrong === undefined ? usage : `Unknown: ${wrong}\n${usage}`);
    return 2;
  }
  const rows = await suites[names[0]]({ peersOnly: flags.has("--peers-only"), only: names[1] ?? "" });
  console.log(flags.has("--json") ? JSON.stringify(rows) : table(rows));
  return 0;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    closeEverything();
    process.exit(1);
  });
}
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
} finally {
  closeEverything();
}
