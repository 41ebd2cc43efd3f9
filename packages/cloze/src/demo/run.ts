// `npm start`: learns an encoder from nothing, measures it, saves it, and searches with it.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { scope, type Tensor, tensor, topK, writeFileAtomic } from "@cloze/tensor";
import type { Embedder } from "../embedding/embedder.js";
import { loadEmbedder, saveEmbedder } from "../embedding/sentence-transformers.js";
import { ClozeError } from "../errors.js";
import { fuseScores } from "../metrics/ranking.js";
import { Bm25Index } from "../retrieval/bm25.js";
import { createExactIndex } from "../retrieval/exact.js";
import { loadVectors, saveVectors } from "../retrieval/vector-file.js";
import type { ShownHit } from "../serving/search-server.js";
import { trainWordPiece } from "../text/index.js";
import { createMeter, formatDuration, type ProgressReporter } from "../training/progress.js";
import { type EvaluationRow, evaluateBm25, evaluateEmbedder, fusionWeight } from "./evaluation.js";
import { bagRecipe, createRecipeEmbedder, demoRecipe, type RecipeOptions, trainRecipe } from "./recipe.js";
import type { Subject } from "./subject.js";

export interface DemoOptions {
  folder: string;
  minutes: number;
  /** Train again though there is a model. */
  retrain: boolean;
  /** Also train the baseline, for the same time. */
  baseline: boolean;
  progress: ProgressReporter;
  recipe?: Partial<RecipeOptions>;
}

/** A trained, measured, searchable encoder. */
export interface Demo {
  readonly embedder: Embedder;
  readonly evaluation: readonly EvaluationRow[];
  /** The best answers of the page. */
  search(query: string, count: number): ShownHit[];
  dispose(): void;
}

const evaluationFile = "evaluation.json";
const indexFile = "index.safetensors";
const subjectFile = "subject.json";
/** Checkpoints, while it learns. */
const runsFolder = "demo-runs";

/** Throws unless what a folder holds was learnt from these very texts; remembers them in a new one. */
function claimFolder({ name, task }: Subject, folder: string): void {
  const path = join(folder, subjectFile);
  const hash = createHash("sha256");
  for (const document of task.documents) hash.update(document).update("\n");
  const mine = { name, documents: task.documents.length, sha256: hash.digest("hex") };
  mkdirSync(folder, { recursive: true });
  const learnt = [evaluationFile, runsFolder].some((entry) => existsSync(join(folder, entry)));
  if (!learnt || !existsSync(path)) {
    writeFileAtomic(path, `${JSON.stringify(mine)}\n`);
    return;
  }
  let theirs: Partial<typeof mine> = {};
  try {
    theirs = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    // Not readable: then it is not this subject's.
  }
  if (theirs.sha256 === mine.sha256) return;
  throw new ClozeError("DEMO_FOLDER", `${folder} holds what was learnt from another text`, {
    expected: `${mine.name}, ${mine.documents} documents`,
    received: `${theirs.name ?? "something"}, ${theirs.documents ?? "other"} documents`,
    remedy: "Learn again with --retrain, or give another --folder.",
  });
}

function embedWithProgress(
  embedder: Embedder,
  texts: readonly string[],
  role: "query" | "document",
  progress: ProgressReporter,
): Tensor {
  let done = 0;
  const meter = createMeter("index", () => done / texts.length);
  const vectors = embedder.embed(texts, {
    role,
    tokenBudget: 8192,
    onProgress(count) {
      done = count;
      progress.update(meter.event(count));
    },
  });
  progress.done();
  return vectors;
}

/** Trains, evaluates and saves. Undefined: interrupted; the checkpoints are kept. */
async function learn(subject: Subject, options: DemoOptions): Promise<EvaluationRow[] | undefined> {
  const { folder, minutes, progress, baseline } = options;
  const recipe = { ...demoRecipe, ...options.recipe };
  const start = performance.now();
  const runs = join(folder, runsFolder);
  progress.note(`Learning a vocabulary from ${subject.corpus.length.toLocaleString("en")} texts …`);
  const tokenizer = trainWordPiece(subject.corpus, { vocabularySize: subject.vocabularySize });
  const used = (performance.now() - start) / 60000;
  progress.note(`${tokenizer.vocabularySize} word pieces (${formatDuration(used * 60)})`);
  const bm25 = new Bm25Index(subject.task.documents);
  const rows = [evaluateBm25(subject.task, bm25)];
  const embedder = createRecipeEmbedder(tokenizer, recipe);
  const measure = (name: string, model: Embedder, seconds: number, fuse: boolean): Tensor => {
    const vectors = embedWithProgress(model, subject.task.documents, "document", progress);
    rows.push(...evaluateEmbedder(name, subject.task, model, vectors, fuse ? bm25 : undefined, seconds));
    return vectors;
  };
  const seconds = await trainRecipe(embedder, subject.pairs, recipe, {
    minutes: Math.max(0.01, minutes - used),
    folder: runs,
    progress,
  });
  if (seconds === undefined) return undefined;
  const documents = measure("Cloze", embedder, seconds + used * 60, true);
  if (baseline) {
    const bag = createRecipeEmbedder(tokenizer, bagRecipe);
    const bagSeconds = await trainRecipe(bag, subject.pairs, bagRecipe, {
      minutes: Math.max(0.01, minutes - used),
      folder: join(runs, "baseline"),
      progress,
    });
    if (bagSeconds === undefined) return undefined;
    measure("bag of embeddings, 256 wide", bag, bagSeconds + used * 60, false).dispose();
    bag.dispose();
  }
  saveEmbedder(embedder, folder);
  const vectors = new Map([["documents", documents]]);
  if (subject.definitions !== undefined) {
    vectors.set("definitions", embedWithProgress(embedder, subject.definitions, "query", progress));
  }
  saveVectors(join(folder, indexFile), vectors);
  for (const tensor of vectors.values()) tensor.dispose();
  embedder.dispose();
  // Written last: it says that everything else is there.
  writeFileAtomic(join(folder, evaluationFile), `${JSON.stringify(rows, undefined, 2)}\n`);
  rmSync(runs, { recursive: true, force: true });
  return rows;
}

/** Reads a demo that `learn` saved. */
function open(subject: Subject, folder: string): Demo {
  const evaluation = JSON.parse(readFileSync(join(folder, evaluationFile), "utf8")) as EvaluationRow[];
  const embedder = loadEmbedder(folder);
  const vectors = loadVectors(join(folder, indexFile));
  const indexes = [...vectors.values()].map(createExactIndex);
  for (const tensor of vectors.values()) tensor.dispose();
  const texts = subject.shown.map((document, i) =>
    subject.definitions === undefined ? document.text : `${subject.task.documents[i]}; ${subject.definitions[i]}`,
  );
  const bm25 = new Bm25Index(texts);
  return {
    embedder,
    evaluation,
    search(query, count) {
      const vector = embedder.embed([query], { role: "query" });
      const scores = indexes[0].scores(vector);
      if (scores.every((score) => score === 0)) {
        // Not one token of the query is known (or there is none): its vector is zero.
        vector.dispose();
        return [];
      }
      for (const other of indexes.slice(1)) {
        other.scores(vector).forEach((score, i) => {
          if (score > scores[i]) scores[i] = score;
        });
      }
      vector.dispose();
      const fused = fuseScores(scores, bm25.scores(query), fusionWeight);
      const best = scope(() => topK(tensor(fused), count).indices.toTypedArray());
      return Array.from(best, (i) => ({ ...subject.shown[i], score: scores[i] }));
    },
    dispose() {
      embedder.dispose();
      for (const index of indexes) index.dispose();
    },
  };
}

/**
 * Opens the saved demo of a folder, or learns it first. Undefined when training was interrupted: the same call goes on.
 */
export async function runDemo(subject: Subject, options: DemoOptions): Promise<Demo | undefined> {
  const done = join(options.folder, evaluationFile);
  if (options.retrain) {
    // Only what the demo wrote: the folder may hold other things. Models are replaced file by file.
    for (const name of [evaluationFile, indexFile, subjectFile, runsFolder]) {
      rmSync(join(options.folder, name), { recursive: true, force: true });
    }
  }
  claimFolder(subject, options.folder);
  if (!existsSync(done)) {
    const rows = await learn(subject, options);
    if (rows === undefined) return undefined;
  }
  return open(subject, options.folder);
}
