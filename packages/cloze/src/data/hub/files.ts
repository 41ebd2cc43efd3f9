// Which files of a repository are downloaded.
import { ClozeError } from "../../errors.js";
import type { HubFile } from "./listing.js";

// What Cloze reads of a model, and what a person wants to read about it.
const wanted = [
  /^(config|modules|router_config|config_sentence_transformers|sentence_\w+_config)\.json$/,
  /\.safetensors(\.index\.json)?$/,
  /^(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json$/,
  /^(vocab|merges)\.txt$/,
  /^(spiece|sentencepiece|sentencepiece\.bpe|tokenizer)\.model$/,
];
const otherWeights = /\.(bin|pt|pth|ckpt|pkl|h5|msgpack|gguf|onnx|ot)$/;
const pickles = /^(pytorch_model.*\.bin|.*\.(pt|pth|ckpt|pkl))$/;

const split = (path: string): [folder: string, name: string] => {
  const at = path.lastIndexOf("/");
  return at < 0 ? ["", path] : [path.slice(0, at), path.slice(at + 1)];
};

/** Folders of sentence-transformers' modules: 1_Pooling, 2_Dense. Other folders hold other formats or checkpoints. */
const isModule = (folder: string): boolean => /^(\w+_)?\d+_\w+(\/|$)/.test(folder);

/** A pattern as huggingface_hub reads it: `*` also stands for slashes, and "folder/" is all that the folder holds. */
export function globPattern(glob: string): RegExp {
  const whole = glob.endsWith("/") ? `${glob}*` : glob;
  const source = whole.replace(/\*+|\?|\[!?[^\]]+\]|[\\^$.|+()[\]{}]/g, (token) => {
    if (token.startsWith("*")) return ".*";
    if (token === "?") return ".";
    if (token.length > 1) return token.replace("[!", "[^").replaceAll("\\", "\\\\");
    return `\\${token}`;
  });
  return new RegExp(`^${source}$`, "s");
}

/** Refuses a model whose weights Cloze cannot read, before anything is downloaded. */
function checkWeights(id: string, files: readonly HubFile[], folders: ReadonlySet<string>): void {
  for (const folder of folders) {
    const names = files.map(({ path }) => split(path)).filter(([place]) => place === folder);
    if (names.some(([, name]) => /\.safetensors$/.test(name))) continue;
    const weights = names
      .map(([, name]) => name)
      .filter((name) => otherWeights.test(name) && name !== "training_args.bin");
    if (weights.length === 0) continue;
    const first = weights.find((name) => pickles.test(name)) ?? weights[0];
    const path = folder === "" ? first : `${folder}/${first}`;
    const pickle = pickles.test(first);
    throw new ClozeError("WEIGHTS_FORMAT", `${id} has no safetensors weights; nothing was downloaded`, {
      expected: "model.safetensors",
      received: pickle ? `${path}, a Python pickle, which can run any code when it is opened` : path,
      remedy:
        `See whether a pull request of the repository offers safetensors (cloze pull ${id}@refs/pr/NUMBER), ` +
        "or save the model again with transformers: model.save_pretrained(folder). --include takes any file.",
    });
  }
}

export interface FileChoice {
  /** Globs that replace the default choice. */
  include?: readonly string[];
  /** Globs of files to leave out. */
  exclude?: readonly string[];
}

/**
 * The files of a model that Cloze reads: configuration, safetensors, tokenizer, README, and the same of the folders that
 * sentence-transformers' modules.json names. Of a dataset: all.
 *
 * @throws WEIGHTS_FORMAT when a model has weights, but none as safetensors, and no `include` asks for them
 * @throws HUB_NOT_FOUND when no file is left
 */
export function chooseFiles(
  id: string,
  files: readonly HubFile[],
  { include = [], exclude = [], everything = false }: FileChoice & { everything?: boolean } = {},
): HubFile[] {
  const patterns = include.map(globPattern);
  const without = exclude.map(globPattern);
  const modular = files.some(({ path }) => path === "modules.json");
  const isPlace = (folder: string) => folder === "" || (modular && isModule(folder));
  const byDefault = (path: string) => {
    const [folder, name] = split(path);
    return everything || path === "README.md" || (isPlace(folder) && wanted.some((pattern) => pattern.test(name)));
  };
  if (!everything && include.length === 0) {
    checkWeights(id, files, new Set(files.map(({ path }) => split(path)[0]).filter(isPlace)));
  }
  const chosen = files.filter(
    ({ path }) =>
      (patterns.length > 0 ? patterns.some((pattern) => pattern.test(path)) : byDefault(path)) &&
      !without.some((pattern) => pattern.test(path)),
  );
  if (chosen.length > 0) return chosen;
  throw new ClozeError("HUB_NOT_FOUND", `${id} holds no file to download`, {
    expected: include.length > 0 ? include.join(", ") : "config.json, *.safetensors, tokenizer.json, …",
    received: `${files.length} files: ${files
      .map(({ path }) => path)
      .slice(0, 8)
      .join(", ")}${files.length > 8 ? ", …" : ""}`,
    remedy: "Choose with --include.",
  });
}
