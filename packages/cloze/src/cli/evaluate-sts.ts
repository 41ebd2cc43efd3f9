import { type Command, Option } from "commander";
import { type DataFormat, dataFormats } from "../data/readers/index.js";
import { readSimilarityRows, type SimilarityColumns } from "../data/readers/similarity-rows.js";
import { createWarnings } from "../data/readers/warnings.js";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { ClozeError } from "../errors.js";
import { cosineSimilarity } from "../metrics/cosine-similarity.js";
import { pearsonCorrelation, spearmanCorrelation } from "../metrics/index.js";
import { createMeter } from "../training/progress.js";
import { wholeNumber } from "./arguments.js";
import { mark, noteWarnings, quoteMark } from "./data-options.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, formatTable, printResult, progressFor } from "./output.js";
import { vectorsOf } from "./text-vectors.js";

interface EvaluateStsOptions extends CommonOptions {
  model: string;
  data: string;
  format?: DataFormat;
  delimiter?: string;
  quote?: string;
  first?: string;
  second?: string;
  score?: string;
  tokenBudget: number;
}

const chunk = 1024;

/** `cloze evaluate sts` */
export function addEvaluateSts(program: Command): void {
  program
    .command("sts")
    .description("correlation of an embedder's cosines with scores of similarity that people gave")
    .requiredOption(`--model ${modelArgument}`, "an embedder")
    .requiredOption("--data <file>", "pairs of texts with a score: sentence1, sentence2, score, or names like these")
    .addOption(new Option("--format <format>", "of the file, if its name does not tell").choices(dataFormats))
    .option("--delimiter <mark>", "between fields: a character, tab or space", mark)
    .option("--quote <mark>", "around fields; none if quotes mean nothing (default: as the file looks)", quoteMark)
    .option("--first <column>", "the column of the first text")
    .option("--second <column>", "the column of the second text")
    .option("--score <column>", "the column of the score")
    .option("--token-budget <count>", "tokens per forward pass", wholeNumber(1), 4096)
    .action(async (options: EvaluateStsOptions) => {
      const progress = progressFor(options);
      const warnings = createWarnings();
      const columns: SimilarityColumns = { first: options.first, second: options.second, score: options.score };
      const { rows, columns: found } = await readSimilarityRows(options.data, warnings, {
        columns,
        format: options.format,
        delimiter: options.delimiter,
        quote: options.quote,
      });
      if (rows.length < 2) {
        throw new ClozeError("DATA_EMPTY", `${options.data} holds too few pairs`, {
          expected: "at least two pairs with scores",
          received: [String(rows.length), ...warnings.list().map(({ count, message }) => `${count} ${message}`)].join(
            "; ",
          ),
        });
      }
      progress.note(`${options.data}: texts in ${found.first} and ${found.second}, scores in ${found.score}`);
      const embedder = loadEmbedder(await modelFolder(options.model, options));
      const vectors = vectorsOf(embedder, { ...options, warnings });
      const cosines = new Float64Array(rows.length);
      const start = performance.now();
      let done = 0;
      const meter = createMeter("embed", () => done / rows.length);
      for (; done < rows.length; progress.update(meter.event(done))) {
        const group = rows.slice(done, done + chunk);
        const embedded = await vectors.embed(
          group.flatMap(({ first, second }) => [first, second]),
          "document",
        );
        const row = (i: number) => embedded.subarray(i * vectors.width, (i + 1) * vectors.width);
        for (let i = 0; i < group.length; i++) cosines[done + i] = cosineSimilarity(row(2 * i), row(2 * i + 1));
        done += group.length;
      }
      progress.done();
      embedder.dispose();
      const scores = rows.map(({ score }) => score);
      const [spearman, pearson] = [spearmanCorrelation(scores, cosines), pearsonCorrelation(scores, cosines)];
      noteWarnings(progress, warnings.list());
      const seconds = (performance.now() - start) / 1000;
      printResult(options, { spearman, pearson, pairs: rows.length, seconds, warnings: warnings.list() }, () =>
        formatTable([
          [`${rows.length} pairs`, options.data],
          ["spearman", spearman.toFixed(4)],
          ["pearson", pearson.toFixed(4)],
        ]),
      );
    });
}
