import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { evaluationTable } from "../demo/evaluation.js";
import { type RecipeOptions, recipeSchema } from "../demo/recipe.js";
import { runDemo } from "../demo/run.js";
import { ownTextSubject, wordNetSubject } from "../demo/subject.js";
import { numberBetween, wholeNumber } from "./arguments.js";
import { type CommonOptions, formatTable, printResult, progressFor } from "./output.js";

interface DemoCommandOptions extends CommonOptions {
  text?: string;
  minutes: number;
  folder?: string;
  port: number;
  retrain?: boolean;
  baseline?: boolean;
  recipe?: RecipeOptions;
  serve: boolean;
  open: boolean;
}

/** Opens a page where there is a screen; never fails. */
function openBrowser(url: string): void {
  const screen =
    process.platform !== "linux" || process.env.DISPLAY !== undefined || process.env.WAYLAND_DISPLAY !== undefined;
  if (!process.stderr.isTTY || !screen) return;
  const command = { darwin: "open", win32: "explorer" }[process.platform as string] ?? "xdg-open";
  const child = spawn(command, [url], { stdio: "ignore", detached: true });
  child.on("error", () => {});
  child.unref();
}

function recipeOf(text: string): RecipeOptions {
  try {
    return recipeSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new InvalidArgumentError(error instanceof z.ZodError ? z.prettifyError(error) : String(error));
  }
}

/** `cloze demo`, which `npm start` runs */
export function addDemo(program: Command): void {
  program
    .command("demo")
    .description(
      "learn a reverse dictionary from WordNet (or search in your own text) from nothing, and open it as a page",
    )
    .option("--text <file>", "learn from this text instead, one document a line")
    .option("--minutes <minutes>", "time to learn, all included", numberBetween(0.05), 5.8)
    .option("--folder <folder>", "where the model goes (default: runs/reverse-dictionary, or runs/own-text)")
    .option("--port <port>", "port of the page; 0 for any", wholeNumber(0), 8017)
    .option("--retrain", "learn again though there is a model")
    .option("--baseline", "also train the bag of embeddings that the table compares with, for the same time")
    .addOption(
      new Option("--recipe <json>", "settings of the recipe to change, such as '{\"layers\":0}'").argParser(recipeOf),
    )
    .option("--no-serve", "learn, print the table, and end")
    .option("--no-open", "do not open a browser")
    .action(async (options: DemoCommandOptions) => {
      const progress = progressFor(options);
      const subject = options.text === undefined ? wordNetSubject() : ownTextSubject(options.text);
      const folder = resolve(options.folder ?? `runs/${subject.name}`);
      const demo = await runDemo(subject, {
        folder,
        minutes: options.minutes,
        retrain: options.retrain === true,
        baseline: options.baseline === true,
        recipe: options.recipe,
        progress,
      });
      if (demo === undefined) {
        progress.note("Stopped; what was learnt is saved. The same command goes on from there.");
        process.exitCode = 130;
        return;
      }
      const table = evaluationTable(demo.evaluation);
      const result = { folder, evaluation: demo.evaluation };
      const text = `${formatTable(table)}\n\nThe model is in ${folder}`;
      if (!options.serve) {
        printResult(options, result, () => text);
        demo.dispose();
        return;
      }
      const { title, description, placeholder, examples } = subject;
      // The server is large; the other commands start sooner without it.
      const { serveSearch } = await import("../serving/search-server.js");
      const { url, server } = await serveSearch({
        about: { title, description, placeholder, examples, evaluation: table },
        documents: subject.shown.length,
        search: demo.search,
        port: options.port,
      });
      printResult(options, { ...result, url }, () => `${text}\nThe page is at ${url} (Ctrl-C ends it)`);
      const end = async () => {
        for (const signal of ["SIGINT", "SIGTERM"]) process.off(signal, end);
        await server.close();
        demo.dispose();
      };
      for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, end);
      if (options.open) openBrowser(url);
    });
}
