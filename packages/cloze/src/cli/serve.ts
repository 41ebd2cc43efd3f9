import { existsSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { ClozeError } from "../errors.js";
import type { ModelToServe } from "../serving/server.js";
import { defaultSettings } from "../serving/settings.js";
import { numberBetween, wholeNumber } from "./arguments.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, printResult } from "./output.js";

interface ServeCommandOptions extends CommonOptions {
  model: readonly string[];
  index: readonly string[];
  host: string;
  port: number;
  weights: "float32" | "int8" | "sparse";
  apiKey: readonly string[];
  corsAllowOrigin: readonly string[];
  maxConcurrentRequests: number;
  maxQueueTime: number;
  maxSlowdown: number;
  maxBatchTokens: number;
  maxBatchRequests?: number;
  maxClientBatchSize: number;
  payloadLimit: number;
  autoTruncate: boolean;
  requestTimeout: number;
  receiveTimeout: number;
  graceTime: number;
  metricsCompat: "tei" | "none";
  warmUp: boolean;
  logLevel: "debug" | "info" | "warn" | "error" | "silent";
}

const several = (value: string, before: readonly string[]): string[] => [...before, value];

/** Keys from the environment are separated by commas. */
const keys = (value: string, before: readonly string[]): string[] => {
  const given = value.split(",").filter((key) => key !== "");
  if (given.length > 0) return [...before, ...given];
  throw new InvalidArgumentError("A key is not empty.");
};

/** `name=place`, or a place that is its own name. */
function split(argument: string): { place: string; name?: string } {
  const at = argument.indexOf("=");
  return at > 0 && !existsSync(argument)
    ? { name: argument.slice(0, at), place: argument.slice(at + 1) }
    : { place: argument };
}

async function modelToServe(argument: string, options: CommonOptions): Promise<ModelToServe> {
  const { place, name } = split(argument);
  const folder = await modelFolder(place, options);
  return { folder, source: place, name: name ?? (existsSync(place) ? undefined : place) };
}

/** Flags that are also read from the environment, under text-embeddings-inference's names. */
const setting = (flags: string, description: string): Option => {
  const option = new Option(flags, description);
  return option.env(option.name().replace(/^no-/, "").replaceAll("-", "_").toUpperCase());
};

/** `cloze serve` */
export function addServe(program: Command): void {
  const { maxConcurrentRequests, maxQueueTime, maxSlowdown } = defaultSettings;
  const { maxBatchTokens, maxClientBatchSize, payloadLimit } = defaultSettings;
  program
    .command("serve")
    .description("answer over HTTP: OpenAI's, Cohere's and text-embeddings-inference's endpoints, and search")
    .addOption(
      new Option(`--model ${modelArgument}`, "a model to serve, or name=model; give it again for more")
        .argParser(several)
        .default([], "none"),
    )
    .addOption(
      new Option("--index <folder>", "an index of cloze index for /search, or name=folder; its model is served too")
        .argParser(several)
        .default([], "none"),
    )
    .option("--host <address>", "address to listen at; 0.0.0.0 for other machines too", "127.0.0.1")
    .addOption(setting("--port <port>", "port; 0 for any").argParser(wholeNumber(0)).default(3000))
    .addOption(
      new Option("--weights <kind>", "how matrices are multiplied")
        .choices(["float32", "int8", "sparse"])
        .default("float32"),
    )
    .addOption(
      setting("--api-key <key>", "key that requests must carry (Authorization: Bearer); give it again for more")
        .argParser(keys)
        .default([], "none is asked for"),
    )
    .addOption(
      setting("--cors-allow-origin <origin>", "origin whose pages may call; * for any; give it again for more")
        .argParser(several)
        .default([], "none"),
    )
    .addOption(
      setting("--max-concurrent-requests <count>", "requests that wait or run; more get 429")
        .argParser(wholeNumber())
        .default(maxConcurrentRequests),
    )
    .addOption(
      setting("--max-queue-time <milliseconds>", "expected wait from which requests get 429")
        .argParser(wholeNumber())
        .default(maxQueueTime),
    )
    .addOption(
      setting("--max-slowdown <times>", "under lasting overload, times what it takes alone that a request may take")
        .argParser(numberBetween(1))
        .default(maxSlowdown),
    )
    .addOption(
      setting("--max-batch-tokens <count>", "tokens of a forward pass")
        .argParser(wholeNumber())
        .default(maxBatchTokens),
    )
    .addOption(setting("--max-batch-requests <count>", "sequences of a forward pass").argParser(wholeNumber()))
    .addOption(
      setting("--max-client-batch-size <count>", "inputs of a request")
        .argParser(wholeNumber())
        .default(maxClientBatchSize),
    )
    .addOption(setting("--payload-limit <bytes>", "largest body").argParser(wholeNumber()).default(payloadLimit))
    .option("--no-auto-truncate", "refuse texts that are too long, unless a request asks to cut them")
    .addOption(setting("--request-timeout <seconds>", "time for an answer").argParser(numberBetween(0.001)).default(60))
    .addOption(
      setting("--receive-timeout <seconds>", "time for a client to send its request")
        .argParser(numberBetween(0.001))
        .default(30),
    )
    .addOption(
      setting("--grace-time <seconds>", "time to answer what was accepted, on SIGTERM")
        .argParser(numberBetween(0))
        .default(30),
    )
    .addOption(setting("--metrics-compat <names>", "further names of metrics").choices(["tei", "none"]).default("tei"))
    .option("--no-warm-up", "call the server ready before a first text was computed")
    .addOption(
      setting("--log-level <level>", "lines on standard error, one JSON object a request, without texts")
        .choices(["debug", "info", "warn", "error", "silent"])
        .default("info"),
    )
    .action(run);
}

async function run(options: ServeCommandOptions): Promise<void> {
  if (options.model.length + options.index.length === 0) {
    throw new ClozeError("NOTHING_TO_SERVE", "There is no model and no index to serve", {
      remedy: "Name a model with --model (a folder or a hub id), or an index with --index.",
    });
  }
  // Until there is something to finish, an end is just an end; process 1 of a container has no such default.
  const leave = (): never => process.exit(0);
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) process.on(signal, leave);
  const [models, { serve }, { pino }] = await Promise.all([
    Promise.all(options.model.map((argument) => modelToServe(argument, options))),
    import("../serving/server.js"),
    import("pino"),
  ]);
  const level = options.quiet === true ? "silent" : options.logLevel;
  const server = await serve({
    models,
    indexes: options.index.map((argument) => {
      const { place, name } = split(argument);
      return { folder: place, name };
    }),
    weights: options.weights,
    host: options.host,
    port: options.port,
    settings: {
      ...options,
      apiKeys: options.apiKey,
      requestTimeout: 1000 * options.requestTimeout,
      receiveTimeout: 1000 * options.receiveTimeout,
      graceTime: 1000 * options.graceTime,
      teiMetrics: options.metricsCompat === "tei",
    },
    logger: pino(
      { level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime },
      pino.destination({ dest: 2, sync: false }),
    ),
  });
  let ending = false;
  const end = async (): Promise<void> => {
    // Asked twice, it ends at once.
    if (ending) process.exit(1);
    ending = true;
    const answered = await server.close();
    if (!answered) {
      process.stderr.write("error [GRACE_TIME]: some requests were not answered within the grace time\n");
      process.exitCode = 1;
    }
    for (const signal of signals) process.off(signal, end);
  };
  for (const signal of signals) {
    process.off(signal, leave);
    process.on(signal, end);
  }
  const [served, indexes] = [[...server.state.models.keys()], [...server.state.indexes.keys()]];
  printResult(
    options,
    { url: server.url, models: served, ...(indexes.length > 0 && { indexes }) },
    () =>
      `Serving ${[...served, ...indexes].join(", ")} at ${server.url} (${server.url}/docs describes it; Ctrl-C ends it)`,
  );
}
