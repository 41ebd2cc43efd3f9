// StaticEmbedding: a tokenizer and a table of vectors; model2vec's folders too.
import {
  files,
  mul,
  paths,
  readSafetensors,
  reshape,
  type SafetensorsFile,
  scope,
  type Tensor,
  take,
  writeFileAtomic,
  writeSafetensors,
} from "@cloze/tensor";
import { ClozeError } from "../../errors.js";
import { loadTokenizer } from "../../text/tokenizer.js";
import { wordListOf } from "../../text/word-list.js";
import { isStaticConfig, staticMaxLength, staticModel } from "../static-embedder.js";
import type { InputModuleKind } from "./input-module.js";

const { existsSync, readFileSync } = files;
const { join } = paths;

const inFile = "embedding.weight";

/** A tensor of one of these shapes, as float32 or as indices. @throws EMBEDDER_FILE */
function loadAs(file: SafetensorsFile, path: string, name: string, dtype: "float32" | "int32", rank: number): Tensor {
  const value = file.load(name);
  if (value.dtype === dtype && value.rank === rank) return value;
  throw new ClozeError("EMBEDDER_FILE", `${path} holds no table of vectors that Cloze reads`, {
    expected: `${name} of ${dtype === "int32" ? "integers" : "numbers in 16, 32 or 64 bits"} in ${rank} dimension${rank > 1 ? "s" : ""}`,
    received: `${file.info(name).dtype} [${value.shape.join(", ")}]`,
  });
}

/** One row for each token: model2vec keeps rows that tokens share, and a weight for each token. -> [entries, width] */
function readTable(path: string): Tensor {
  const file = readSafetensors(path);
  try {
    return scope(() => {
      if (file.has(inFile)) return loadAs(file, path, inFile, "float32", 2);
      if (!file.has("embeddings")) {
        throw new ClozeError("EMBEDDER_FILE", `${path} holds no table of vectors`, {
          expected: `${inFile}, or model2vec's embeddings`,
          received: file.names.join(", "),
        });
      }
      const rows = loadAs(file, path, "embeddings", "float32", 2);
      const table = file.has("mapping") ? take(rows, loadAs(file, path, "mapping", "int32", 1)) : rows;
      if (!file.has("weights")) return table;
      const weights = loadAs(file, path, "weights", "float32", 1);
      if (weights.size !== table.shape[0]) {
        throw new ClozeError("EMBEDDER_FILE", `${path} weighs other tokens than it has`, {
          expected: `${table.shape[0]} weights`,
          received: String(weights.size),
        });
      }
      return mul(table, reshape(weights, [weights.size, 1]));
    });
  } finally {
    file.close();
  }
}

/** The longest text stands in tokenizer.json alone. */
function limitTexts(folder: string, maxLength: number): void {
  const path = join(folder, "tokenizer.json");
  const json = JSON.parse(readFileSync(path, "utf8")) as object;
  const truncation = { direction: "Right", max_length: maxLength, strategy: "LongestFirst", stride: 0 };
  writeFileAtomic(path, JSON.stringify({ ...json, truncation }, undefined, 2));
}

export const staticEmbedding: InputModuleKind = {
  type: "StaticEmbedding",
  path: "models.StaticEmbedding",
  pooled: true,
  load(folder) {
    const path = join(folder, "model.safetensors");
    if (!existsSync(path)) {
      throw new ClozeError("EMBEDDER_FILE", `${path} does not exist`, {
        remedy: "Save the model with a newer sentence-transformers: weights in pytorch_model.bin are not read.",
      });
    }
    const tokenizer = loadTokenizer(join(folder, "tokenizer.json"));
    const { truncation } = tokenizer;
    if (truncation?.direction === "left") {
      throw new ClozeError("EMBEDDER_FILE", `${folder} cuts texts at their beginnings, which Cloze does not`, {
        expected: 'truncation "Right" in tokenizer.json',
        received: "Left",
      });
    }
    const maxLength = truncation?.maxLength ?? staticMaxLength;
    return { model: staticModel(readTable(path)), tokenizer, reading: { maxLength, specialTokens: false } };
  },
  describes: ({ model, tokenizer, tokenModules, options: { pooling, includePrompt, specialTokens, lowerCase } }) =>
    isStaticConfig(model.config) &&
    tokenModules.length === 0 &&
    wordListOf(tokenizer) === undefined &&
    pooling === "mean" &&
    includePrompt &&
    !specialTokens &&
    !lowerCase,
  save({ model, tokenizer, options: { maxLength } }, folder) {
    const table = model.parameters.get("encoder.embeddings.word.weight") as Tensor;
    writeSafetensors(join(folder, "model.safetensors"), [[inFile, table]]);
    tokenizer.save(folder);
    if (maxLength < staticMaxLength && tokenizer.truncation?.maxLength !== maxLength) limitTexts(folder, maxLength);
  },
};
