import type { Command } from "commander";
import { pullModel } from "../data/hub/index.js";
import { byteProgress } from "./byte-progress.js";
import { type CommonOptions, printResult } from "./output.js";

interface PullCommandOptions extends CommonOptions {
  dataset?: boolean;
  include?: string[];
  exclude?: string[];
}

const collect = (glob: string, globs: string[] = []): string[] => [...globs, glob];

/** `cloze pull` */
export function addPull(program: Command): void {
  program
    .command("pull")
    .description("download a model or a dataset from the Hugging Face hub into the cache (HF_HOME, HF_HUB_CACHE)")
    .argument("<id>", "org/name, or org/name@revision: a branch, tag, commit or refs/pr/N")
    .option("--dataset", "a dataset: all its files")
    .option("--include <glob>", "download these files instead of what Cloze reads; may be given several times", collect)
    .option("--exclude <glob>", "leave these files out; may be given several times", collect)
    .action(async (id: string, options: PullCommandOptions) => {
      const progress = byteProgress(`pull ${id}`, options);
      try {
        const folder = await pullModel(id, {
          type: options.dataset === true ? "dataset" : "model",
          include: options.include,
          exclude: options.exclude,
          progress: progress.update,
        });
        progress.done();
        printResult(options, { id, folder }, () => folder);
      } finally {
        progress.done();
      }
    });
}
