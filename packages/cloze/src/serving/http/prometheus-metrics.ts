// What Prometheus reads: names as its rules have them, and text-embeddings-inference's for dashboards that know those.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Cost } from "./exchange.js";
import type { Finished, MetricsSource } from "./metrics.js";

/** 35 steps of x 1.5 from 15 µs. In seconds. */
const durations = Array.from({ length: 35 }, (_, i) => 15e-6 * 1.5 ** i);
/** Powers of two. */
const sizes = Array.from({ length: 16 }, (_, i) => 2 ** i);

const stages = (cost: Cost, totalTime: number) =>
  [
    ["total", totalTime],
    ["tokenization", cost.tokenizationTime],
    ["queue", cost.queueTime],
    ["inference", cost.inferenceTime],
  ] as const;

function nativeMetrics(registers: Registry[], state: MetricsSource) {
  const requests = new Counter({
    name: "cloze_requests_total",
    help: "Requests answered or refused",
    labelNames: ["route", "model", "status"],
    registers,
  });
  const duration = new Histogram({
    name: "cloze_request_duration_seconds",
    help: "Time that answered requests for inference took, by stage",
    labelNames: ["stage"],
    buckets: durations,
    registers,
  });
  const tokens = new Counter({ name: "cloze_tokens_total", help: "Tokens computed", labelNames: ["model"], registers });
  const truncated = new Counter({
    name: "cloze_truncated_tokens_total",
    help: "Tokens cut off texts that were too long",
    labelNames: ["model"],
    registers,
  });
  const batchTokens = new Histogram({
    name: "cloze_batch_tokens",
    help: "Tokens of a batch",
    buckets: sizes,
    registers,
  });
  new Gauge({
    name: "cloze_queue_depth",
    help: "Sequences that wait",
    registers,
    collect() {
      this.set(state.scheduler.waiting);
    },
  });
  new Gauge({
    name: "cloze_active_requests",
    help: "Requests that wait or run",
    registers,
    collect() {
      this.set(state.scheduler.active);
    },
  });
  new Gauge({
    name: "cloze_model_memory_bytes",
    help: "Bytes of a model's weights",
    labelNames: ["model"],
    registers,
    collect() {
      for (const { name, bytes } of state.models.values()) this.set({ model: name }, bytes);
    },
  });
  return {
    finished({ route, status, inference, cost, totalTime }: Finished) {
      const { model } = cost;
      requests.inc({ route, model, status: String(status) });
      if (cost.tokens > 0) tokens.inc({ model }, cost.tokens);
      if (cost.dropped > 0) truncated.inc({ model }, cost.dropped);
      if (!inference || status !== 200) return;
      for (const [stage, milliseconds] of stages(cost, totalTime)) duration.observe({ stage }, milliseconds / 1000);
    },
    batch: (batch: { tokens: number }) => batchTokens.observe(batch.tokens),
  };
}

/** The error labels of text-embeddings-inference. */
const failures: Readonly<Record<number, string>> = {
  400: "validation",
  413: "batch_size",
  422: "validation",
  424: "model_type",
  429: "overloaded",
};

/** Which of text-embeddings-inference's families a route counts in besides the general one. */
const families: Readonly<Record<string, string>> = {
  "/embed": "embed",
  "/embed_all": "embed",
  "/embed_sparse": "embed",
  "/v1/embeddings": "embed",
  "/similarity": "embed",
  "/predict": "predict",
  "/rerank": "predict",
  "/v1/rerank": "predict",
  "/v2/rerank": "predict",
};

function teiMetrics(registers: Registry[], state: MetricsSource) {
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name, help, labelNames, registers });
  const histogram = (name: string, help: string, buckets = durations) =>
    new Histogram({ name, help, buckets, registers });
  const family = (prefix: string) => ({
    count: counter(`${prefix}_count`, "Requests", prefix === "te_request" ? ["method"] : []),
    success: counter(`${prefix}_success`, "Requests that were answered", prefix === "te_request" ? ["method"] : []),
    stages: {
      total: histogram(`${prefix}_duration`, "Seconds"),
      tokenization: histogram(`${prefix}_tokenization_duration`, "Seconds"),
      queue: histogram(`${prefix}_queue_duration`, "Seconds"),
      inference: histogram(`${prefix}_inference_duration`, "Seconds"),
    },
  });
  const [all, embed, predict] = ["te_request", "te_embed", "te_predict"].map(family);
  const byFamily: Readonly<Record<string, typeof all>> = { embed, predict };
  const failure = counter("te_request_failure", "Requests that were refused", ["err"]);
  const inputLength = histogram("te_request_input_length", "Tokens of a request", sizes);
  const batchSize = histogram("te_batch_next_size", "Sequences of a batch", sizes);
  const batchTokens = histogram("te_batch_next_tokens", "Tokens of a batch", sizes);
  new Gauge({
    name: "te_queue_size",
    help: "Sequences that wait",
    registers,
    collect() {
      this.set(state.scheduler.waiting);
    },
  });
  return {
    finished({ route, status, inference, cost, totalTime }: Finished) {
      if (!inference) return;
      const own = byFamily[families[route] ?? ""];
      const method = cost.inputs > 1 ? "batch" : "single";
      all.count.inc({ method });
      own?.count.inc();
      if (status !== 200) {
        failure.inc({ err: failures[status] ?? "inference" });
        return;
      }
      all.success.inc({ method });
      own?.success.inc();
      inputLength.observe(cost.tokens);
      for (const [stage, milliseconds] of stages(cost, totalTime)) {
        all.stages[stage].observe(milliseconds / 1000);
        own?.stages[stage].observe(milliseconds / 1000);
      }
    },
    batch({ units, tokens }: { units: number; tokens: number }) {
      batchSize.observe(units);
      batchTokens.observe(tokens);
    },
  };
}

/** What is counted, and how it is read. */
export interface MetricSets {
  finished(request: Finished): void;
  batch(batch: { units: number; tokens: number }): void;
  text(): Promise<string>;
  close(): void;
}

/** Metrics of a server, in a registry of their own. */
export function createMetricSets(state: MetricsSource, { tei }: { tei: boolean }): MetricSets {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const sets = [nativeMetrics([registry], state), ...(tei ? [teiMetrics([registry], state)] : [])];
  return {
    finished(request) {
      for (const set of sets) set.finished(request);
    },
    batch(batch) {
      for (const set of sets) set.batch(batch);
    },
    text: () => registry.metrics(),
    close: () => registry.clear(),
  };
}
