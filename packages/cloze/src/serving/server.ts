// A server from its first connection to its last.
import { readFileSync } from "node:fs";
import { Server as NetServer } from "node:net";
import { basename } from "node:path";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { ClozeError } from "../errors.js";
import type { CompileOptions } from "../inference/compile.js";
import { createApp } from "./http/app.js";
import { watchConnections } from "./http/connections.js";
import type { ServerState } from "./http/exchange.js";
import { createMetrics } from "./http/metrics.js";
import { listen } from "./listen.js";
import { routes } from "./routes/index.js";
import { createScheduler } from "./scheduler.js";
import { openServedIndex } from "./search-index.js";
import { openServedModel, type ServedModel } from "./served-model.js";
import { defaultSettings, type ServerSettings } from "./settings.js";
import { checkServed, holdsWeighter } from "./unserved-kinds.js";

/** A model to serve. */
export interface ModelToServe {
  readonly folder: string;
  /** Default: the folder's last part. */
  readonly name?: string;
  /** What it is called in /info; default the folder. */
  readonly source?: string;
}

/** An index to serve. */
export interface IndexToServe {
  readonly folder: string;
  /** Default: the folder's last part. */
  readonly name?: string;
}

export interface ServeOptions {
  readonly models?: readonly ModelToServe[];
  /** Folders that `cloze index` made. The models of their vectors or weights are served too. */
  readonly indexes?: readonly IndexToServe[];
  readonly settings?: Partial<ServerSettings>;
  /** How matrices are multiplied. Default "float32". */
  readonly weights?: CompileOptions["weights"];
  /** Default "127.0.0.1": this machine only. */
  readonly host?: string;
  /** Default 3000; 0: any free one. */
  readonly port?: number;
  /** Receives a line for each request, without its texts. Default: none. */
  readonly logger?: Logger;
}

export interface ClozeServer {
  readonly url: string;
  readonly app: FastifyInstance;
  readonly state: ServerState;
  /**
   * Takes no new connection, answers what was accepted, and frees everything.
   *
   * @returns whether all was answered within the grace time
   */
  close(): Promise<boolean>;
}

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/**
 * Milliseconds in which clients with an open connection send their next request and learn that it is the last; as long
 * again after each that does.
 */
const farewell = 250;

const nameTaken = (what: string, name: string, option: string): ClozeError =>
  new ClozeError("NAME_TAKEN", `Two ${what} are called ${name}`, {
    remedy: `Give one another name: ${option} name=folder.`,
  });

/** Everything but the network, for tests and for `serve`. */
export async function createServer({
  models = [],
  indexes = [],
  settings: given = {},
  weights,
  logger,
}: Omit<ServeOptions, "host" | "port">) {
  const settings: ServerSettings = { ...defaultSettings, ...given };
  const scheduler = createScheduler({ ...settings, onBatch: (batch) => metrics.batch(batch) });
  const state: ServerState = {
    settings,
    scheduler,
    get metrics() {
      return metrics;
    },
    models: new Map(),
    indexes: new Map(),
    version,
    ready: false,
    draining: false,
  };
  const metrics = createMetrics(state, { tei: settings.teiMetrics });
  const app = await createApp({ state, routes, logger });
  const loadModel = async ({ folder, name, source }: ModelToServe): Promise<ServedModel> => {
    // Lets connections in between.
    await new Promise((resolve) => setImmediate(resolve));
    const served = await openServedModel(folder, { name, source, weights });
    if (state.models.has(served.name)) {
      served.close();
      throw nameTaken("models", served.name, "--model");
    }
    state.models.set(served.name, served);
    if (settings.warmUp) await served.warmUp(scheduler);
    return served;
  };
  /**
   * Loads and warms what is served. Weighters of words read queries for the indexes that they made, and nothing else.
   *
   * @throws NAME_TAKEN, MODEL_UNSUPPORTED for a weighter of no index, and what opening models and indexes throws
   */
  const load = async (): Promise<void> => {
    const weighters = models.map(({ folder }) => folder).filter(holdsWeighter);
    for (const model of models) if (!weighters.includes(model.folder)) await loadModel(model);
    for (const { folder, name = basename(folder) } of indexes) {
      if (state.indexes.has(name)) throw nameTaken("indexes", name, "--index");
      const index = await openServedIndex(folder, name, [...state.models.values()], loadModel, { weighters });
      state.indexes.set(name, index);
      for (const [part, { title }] of Object.entries(index.unserved)) {
        const line = { code: "INDEX_PART_UNSERVED", index: name, part };
        logger?.warn(line, `searched without what ${title} made, which is not served`);
      }
      if (settings.warmUp) await index.warmUp(scheduler);
    }
    const read = [...state.indexes.values()].map(({ weighter }) => weighter);
    for (const weighter of weighters) if (!read.includes(weighter)) checkServed(weighter);
    state.ready = true;
    void metrics.load();
  };
  const dispose = (): void => {
    metrics.close();
    for (const served of state.models.values()) served.close();
    state.models.clear();
    for (const index of state.indexes.values()) index.close();
    state.indexes.clear();
  };
  return { app, state, load, dispose };
}

/** Resolves to false when it takes longer than that. */
async function within(milliseconds: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  const done = await Promise.race([work.then(() => true), late]);
  clearTimeout(timer);
  return done;
}

/**
 * Serves models. The server answers `/livez` at once, and everything else when models are loaded and warm, which this
 * waits for.
 *
 * @throws SERVER_LISTEN when the port is taken, NAME_TAKEN, and what loading models throws
 * @example
 * const server = await serve({ models: [{ folder: "models/all-MiniLM-L6-v2" }], port: 3000 });
 * await server.close();
 */
export async function serve({ host = "127.0.0.1", port = 3000, ...options }: ServeOptions): Promise<ClozeServer> {
  const { app, state, load, dispose } = await createServer(options);
  try {
    const connections = watchConnections(app.server);
    const url = await listen(app, { host, port });
    await load();
    let closed: Promise<boolean> | undefined;
    const close = async (): Promise<boolean> => {
      state.draining = true;
      const { graceTime } = state.settings;
      // Only the door is closed: connections that are open have their say, answers tell them that it was the last one.
      NetServer.prototype.close.call(app.server);
      await connections.quiet(farewell, graceTime);
      connections.closeIdle();
      const done = await within(graceTime, Promise.all([app.close(), state.scheduler.idle()]));
      if (!done) app.server.closeAllConnections();
      await state.scheduler.idle();
      dispose();
      return done;
    };
    return {
      url,
      app,
      state,
      close() {
        closed ??= close();
        return closed;
      },
    };
  } catch (error) {
    await app.close();
    dispose();
    throw error;
  }
}
