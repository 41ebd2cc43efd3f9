import { type Command, Option } from "commander";
import { z } from "zod";
import { createEmbedder } from "../embedding/embedder.js";
import { loadEmbedder, saveEmbedder } from "../embedding/sentence-transformers.js";
import { type TextPair, trainEmbedder } from "../embedding/train-embedder.js";
import { ClozeError } from "../errors.js";
import { createModel } from "../families/index.js";
import { readLines } from "../text/index.js";
import { numberBetween, wholeNumber } from "./arguments.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { encoderOfSize, type ModelSize, modelSizes } from "./model-size.js";
import { progressFor } from "./output.js";
import { checkLength, printRun, type TrainingOptions, tokenizerFor, withTrainingOptions } from "./training-options.js";

interface TrainCommandOptions extends TrainingOptions {
  tokenizer?: string;
  model?: string;
  size: ModelSize;
  maxLength: number;
  batchSize: number;
  chunkSize?: number;
  temperature: number;
}

const pairSchema = z.object({
  query: z.string(),
  document: z.string(),
  negatives: z.array(z.string()).optional(),
});

/** Pairs from files: JSON lines {query, document, negatives?}, or two columns with a tab. */
export function readPairs(files: readonly string[]): TextPair[] {
  const pairs: TextPair[] = [];
  for (const file of files) {
    let number = 0;
    for (const line of readLines([file])) {
      number++;
      const wrong = (received: string): never => {
        throw new ClozeError("TRAINING_PAIRS", `${file}, line ${number}: no pair of texts`, {
          expected: '{"query": "…", "document": "…"} or two texts with a tab between them',
          received,
        });
      };
      if (line.startsWith("{")) {
        let value: unknown;
        try {
          value = JSON.parse(line);
        } catch (cause) {
          wrong(cause instanceof Error ? cause.message : String(cause));
        }
        const result = pairSchema.safeParse(value);
        pairs.push(result.success ? result.data : wrong(z.prettifyError(result.error)));
        continue;
      }
      const [query, document, ...rest] = line.split("\t");
      if (document === undefined || rest.length > 0) wrong(line.slice(0, 80));
      pairs.push({ query, document });
    }
  }
  return pairs;
}

/** `cloze train` */
export function addTrain(program: Command): void {
  const command = program
    .command("train")
    .description("train an embedder on pairs of texts (contrastive): JSON lines {query, document}, or two columns")
    .argument("<files...>", "files of pairs")
    .option("--tokenizer <path>", "tokenizer.json or its folder, for a new model")
    .option(`--model ${modelArgument}`, "go on from this model, with its tokenizer")
    .addOption(new Option("--size <size>", "size of a new model").choices(Object.keys(modelSizes)).default("mini"))
    .option("--max-length <tokens>", "longest text", wholeNumber(4), 128)
    .option("--batch-size <pairs>", "pairs of a batch", wholeNumber(2), 64)
    .addOption(
      new Option("--chunk-size <pairs>", "pairs embedded at once; smaller takes less memory").argParser(wholeNumber()),
    )
    .option("--temperature <value>", "what cosines are divided by", numberBetween(0.001), 0.05);
  withTrainingOptions(command).action(async (files: string[], options: TrainCommandOptions) => {
    checkLength(options);
    const progress = progressFor(options);
    const { maxLength } = options;
    const start = options.model === undefined ? undefined : await modelFolder(options.model, options);
    const build = () => {
      if (start !== undefined) {
        const loaded = loadEmbedder(start);
        return createEmbedder(loaded.model, loaded.tokenizer, {
          ...loaded.options,
          maxLength: Math.min(maxLength, loaded.options.maxLength),
        });
      }
      const tokenizer = tokenizerFor(options);
      const config = encoderOfSize(options.size, tokenizer.vocabularySize, maxLength);
      const model = createModel({ architecture: "Model", config, head: { type: "none" }, seed: options.seed });
      return createEmbedder(model, tokenizer, { maxLength });
    };
    const embedder = build();
    const pairs = readPairs(files);
    progress.note(`${pairs.length} pairs`);
    const result = await trainEmbedder(embedder, pairs, {
      steps: options.steps,
      minutes: options.minutes,
      learningRate: options.learningRate ?? (start === undefined ? 5e-4 : 2e-5),
      weightDecay: options.weightDecay,
      batchSize: options.batchSize,
      chunkSize: options.chunkSize,
      temperature: options.temperature,
      seed: options.seed,
      folder: options.out,
      resume: options.resume,
      checkpointMinutes: options.checkpointMinutes,
      progress,
    });
    saveEmbedder(embedder, options.out);
    printRun(options, result);
    embedder.dispose();
  });
}
