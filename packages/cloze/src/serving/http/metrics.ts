// What the server counts. The library that writes it for Prometheus is as large as the one that speaks HTTP: a server that
// starts does not wait for it.
import type { Scheduler } from "../scheduler.js";
import type { ServedModel } from "../served-model.js";
import type { Cost } from "./exchange.js";
import type { MetricSets } from "./prometheus-metrics.js";

/** A request that was answered or refused. */
export interface Finished {
  /** The route's first path. */
  readonly route: string;
  readonly status: number;
  readonly inference: boolean;
  readonly cost: Cost;
  /** Milliseconds. */
  readonly totalTime: number;
}

/** What is looked at when metrics are read. */
export interface MetricsSource {
  readonly scheduler: Scheduler;
  readonly models: ReadonlyMap<string, ServedModel>;
}

export interface Metrics {
  finished(request: Finished): void;
  batch(batch: { units: number; tokens: number }): void;
  /** The exposition, and its content type. */
  text(): Promise<string>;
  readonly contentType: string;
  /** Loads what counts. Until then, or until metrics are read, what is to be counted is kept. */
  load(): Promise<void>;
  close(): void;
}

/** More is not kept uncounted. */
const mostKept = 1000;

/** Metrics of a server, in a registry of their own. */
export function createMetrics(state: MetricsSource, options: { tei: boolean }): Metrics {
  let sets: MetricSets | undefined;
  let loading: Promise<MetricSets> | undefined;
  let closed = false;
  let kept: ((to: MetricSets) => void)[] = [];
  const loaded = (): Promise<MetricSets> => {
    loading ??= import("./prometheus-metrics.js").then(({ createMetricSets }) => {
      sets = createMetricSets(state, options);
      for (const count of kept) count(sets);
      kept = [];
      if (closed) sets.close();
      return sets;
    });
    return loading;
  };
  const count = (one: (to: MetricSets) => void): void => {
    if (sets !== undefined) one(sets);
    else if (kept.push(one) >= mostKept) void loaded();
  };
  return {
    finished: (request) => count((to) => to.finished(request)),
    batch: (batch) => count((to) => to.batch(batch)),
    text: async () => (await loaded()).text(),
    contentType: "text/plain; version=0.0.4; charset=utf-8",
    load: async () => void (await loaded()),
    close() {
      closed = true;
      sets?.close();
    },
  };
}
