// Kinds of folders that rerank, and the stages that options make of them. A new kind is an entry in the list.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { DataWarnings } from "../data/readers/warnings.js";
import { ClozeError } from "../errors.js";
import { plannedForward } from "../inference/planned-forward.js";
import { Bm25Index } from "../retrieval/bm25.js";
import type { Reranker } from "../retrieval/pipeline/retriever.js";
import { type CrossEncoder, crossEncoder } from "../retrieval/rerank/cross-encoder.js";
import { isExitFolder, loadExitModel } from "../retrieval/rerank/exit-folder.js";
import { isJointFolder, loadJointRanker } from "../retrieval/rerank/joint-ranker-folder.js";
import { bm25BlockScorer, keyBlockEncoder } from "../retrieval/rerank/key-blocks.js";
import { isParadeFolder, loadParade } from "../retrieval/rerank/parade-folder.js";
import type { PassageAggregation } from "../retrieval/rerank/passages.js";
import { rerankBertQe } from "../retrieval/rerank/rerank-bert-qe.js";
import { rerankExits } from "../retrieval/rerank/rerank-exits.js";
import { rerankSplit } from "../retrieval/rerank/rerank-split.js";
import { rerankTilde } from "../retrieval/rerank/rerank-tilde.js";
import {
  type DocumentTexts,
  rerankJoint,
  rerankPairwise,
  rerankParade,
  rerankPointwise,
} from "../retrieval/rerank/rerankers.js";
import { isSplitRankerFolder, loadSplitRanker } from "../retrieval/rerank/split-ranker-folder.js";
import { openStateStore } from "../retrieval/rerank/state-store.js";
import { modelFingerprint } from "../retrieval/store/model-fingerprint.js";
import { isTildeFolder, loadTilde } from "../retrieval/term-weighting/tilde-folder.js";
import { loadTaskModel, taskOf } from "../tasks/index.js";
import type { RerankOptions } from "./rerank-options.js";

/** A model that reranks, opened: the stages that the options make of it. */
export interface OpenedReranker {
  /** @param collection texts that say how rare words are, for key blocks */
  stage(texts: DocumentTexts, collection: () => Iterable<string>): Reranker;
  /** What the stages did so far, for reports. */
  report?(): Readonly<Record<string, number>>;
  close(): void;
}

/** Options that only some kinds know, as they are given. */
const ownOptions = {
  rerankMode: "--rerank-mode",
  passages: "--passages",
  relevant: "--relevant",
  maxLength: "--max-length",
  exits: "--exits",
  states: "--states",
} as const;
type OwnOption = keyof typeof ownOptions;

interface RerankerKind {
  /** What such a folder holds, for people. */
  readonly title: string;
  readonly reads: readonly OwnOption[];
  recognises(folder: string): boolean;
  open(folder: string, options: RerankOptions, warnings: DataWarnings): OpenedReranker;
}

/** The most special first. */
const kinds: readonly RerankerKind[] = [
  {
    title: "a joint reranker, which reads several documents at once",
    reads: [],
    recognises: isJointFolder,
    open(folder, { rerankDepth: depth, firstStageWeight }, warnings) {
      const joint = loadJointRanker(folder);
      return {
        stage: (texts) => rerankJoint(joint, texts, { depth, firstStageWeight, warnings }),
        close: () => joint.dispose(),
      };
    },
  },
  {
    title: "a PARADE reranker, which reads all passages of a document",
    reads: [],
    recognises: isParadeFolder,
    open(folder, { rerankDepth: depth, firstStageWeight }) {
      const parade = loadParade(folder);
      return {
        stage: (texts) => rerankParade(parade, texts, { depth, firstStageWeight }),
        close: () => parade.dispose(),
      };
    },
  },
  {
    title: "a reranker with early exits",
    reads: ["exits"],
    recognises: isExitFolder,
    open(folder, { rerankDepth: depth, firstStageWeight, exits }, warnings) {
      const { ranker, tokenizer, settings } = loadExitModel(folder);
      let [read, candidates] = [0, 0];
      const onLayers = (layers: Int32Array) => {
        candidates += layers.length;
        for (const count of layers) read += count;
      };
      const how = { depth, firstStageWeight, tokenizer, maxLength: settings.maxLength, warnings, onLayers, ...exits };
      return {
        stage: (texts) => rerankExits(ranker, texts, how),
        report: () => ({ layersRead: candidates === 0 ? 0 : read / candidates, layers: settings.exits.at(-1) ?? 0 }),
        close: () => ranker.dispose(),
      };
    },
  },
  {
    title: "a PreTTR reranker",
    reads: ["states"],
    recognises: isSplitRankerFolder,
    open(folder, { rerankDepth: depth, firstStageWeight, states: place }, warnings) {
      const ranker = loadSplitRanker(folder);
      const open = () => (place === undefined ? undefined : openStateStore(place, modelFingerprint(folder)));
      let states: ReturnType<typeof open>;
      try {
        states = open();
      } catch (error) {
        ranker.dispose();
        throw error;
      }
      let read = 0;
      const counted = {
        store(documents: readonly string[]) {
          read += documents.length;
          const counts = { truncatedTexts: 0 };
          const stored = ranker.store(documents, { counts });
          const message = "documents longer than the reranker's limit; what follows was cut off";
          if (counts.truncatedTexts > 0) warnings.add("TEXT_CUT", message, "documents", counts.truncatedTexts);
          return stored;
        },
        score: ranker.score,
      };
      return {
        stage: (texts) => rerankSplit(counted, texts, { depth, firstStageWeight, states }),
        report: () => ({ documentsRead: read, ...(states !== undefined && { documentsKept: states.size }) }),
        close() {
          states?.close();
          ranker.dispose();
        },
      };
    },
  },
  {
    title: "TILDE, which reads documents without the query",
    reads: [],
    recognises: isTildeFolder,
    open(folder, { rerankDepth: depth, firstStageWeight }, warnings) {
      const tilde = loadTilde(folder);
      return {
        stage: (texts) => rerankTilde(tilde, texts, { depth, firstStageWeight, warnings }),
        close: () => tilde.dispose(),
      };
    },
  },
  {
    title: "a cross-encoder",
    reads: ["rerankMode", "passages", "relevant", "maxLength"],
    recognises: () => true,
    open: openCrossEncoder,
  },
];

/**
 * Opens a folder that reranks: one of the kinds above, or a cross-encoder.
 *
 * @param warnings receives texts that it cuts
 * @throws OPTION_CONFLICT for options that its kind does not know, and what loading throws
 */
export function openReranker(folder: string, options: RerankOptions, warnings: DataWarnings): OpenedReranker {
  const kind = kinds.find(({ recognises }) => recognises(folder)) as RerankerKind;
  const told = (Object.keys(ownOptions) as OwnOption[]).filter((name) =>
    name === "rerankMode" ? options.rerankMode !== "pointwise" : options[name] !== undefined,
  );
  const foreign = told.filter((name) => !kind.reads.includes(name)).map((name) => ownOptions[name]);
  if (foreign.length === 0) return kind.open(folder, options, warnings);
  const known = kind.reads.map((name) => ownOptions[name]);
  throw new ClozeError("OPTION_CONFLICT", `${folder} holds ${kind.title}: it has no use for ${foreign.join(", ")}`, {
    expected: `no other than ${["--rerank-depth", "--first-stage-weight", ...known].join(", ")}`,
    received: foreign.join(", "),
    remedy: "Leave them out: what the model was trained with is in its folder.",
  });
}

/** A cross-encoder; one without task.json has the task that its head says. */
function openCrossEncoder(folder: string, options: RerankOptions, warnings: DataWarnings): OpenedReranker {
  const { relevant, maxLength } = options;
  const told = existsSync(join(folder, "task.json"));
  const load = (name?: string) =>
    loadTaskModel(folder, { task: name === undefined ? undefined : taskOf(name), maxLength });
  let loaded: ReturnType<typeof load>;
  try {
    loaded = load(told ? undefined : "ranking");
  } catch (error) {
    if (told || (error as { code?: string }).code !== "HEAD_MISMATCH") throw error;
    loaded = load("classification");
  }
  const planned = plannedForward(loaded.model);
  const model = crossEncoder({ ...loaded, forward: planned.forward }, { relevant, warnings });
  return {
    stage: (texts, collection) => crossEncoderStage(model, loaded.maxLength, texts, options, collection),
    close() {
      planned.close();
      loaded.model.dispose();
    },
  };
}

function crossEncoderStage(
  model: CrossEncoder,
  maxLength: number,
  texts: DocumentTexts,
  options: RerankOptions,
  collection: () => Iterable<string>,
): Reranker {
  const { rerankDepth: depth, firstStageWeight, passages } = options;
  if (options.rerankMode === "pairwise") return rerankPairwise(model, texts, { depth, firstStageWeight });
  if (options.rerankMode === "bert-qe") return rerankBertQe(model, texts, { depth, firstStageWeight });
  if (passages === "key-blocks") {
    const { statistics } = new Bm25Index(collection());
    // Room for a query, and for words that fall into pieces.
    const budget = Math.max(8, Math.floor(0.75 * maxLength) - Math.min(16, maxLength >> 2) - 1);
    const short = keyBlockEncoder(model, bm25BlockScorer(statistics), { budget, words: Math.min(63, budget) });
    return rerankPointwise(short, texts, { depth, firstStageWeight });
  }
  const aggregation: PassageAggregation | undefined = passages === "top" ? { top: 4 } : passages;
  return rerankPointwise(model, texts, { depth, firstStageWeight, aggregation });
}
