// What operators ask: is it alive, is it ready, what does it serve, how is it doing.
import { z } from "zod";
import { chooseModel, modelNamed, type ServerState } from "../http/exchange.js";
import { answerWith, defineRoute, plainAnswer } from "../http/route.js";
import type { ServedModel } from "../served-model.js";
import { ServingError } from "../serving-error.js";
import { predict } from "./predict.js";
import { isReranker, rerank } from "./rerank.js";
import { embed, embedSparse } from "./text-embeddings.js";

const group = "Operations";
const nothing = z.string();

const live = defineRoute({
  method: "GET",
  paths: ["/livez"],
  dialect: "tei",
  group,
  summary: "200 as soon as the server listens",
  response: nothing,
  type: "text/plain",
  open: true,
  handle: () => plainAnswer("ok"),
});

function checkReady({ ready, draining }: ServerState): void {
  if (ready && !draining) return;
  throw new ServingError("unhealthy", draining ? "The server is going down" : "Models are being loaded", {
    retryAfter: 1,
  });
}

const ready = defineRoute({
  method: "GET",
  paths: ["/readyz", "/health", "/ping", "/"],
  dialect: "tei",
  group,
  summary: "200 when models are loaded and warm, else 503",
  response: nothing,
  type: "text/plain",
  open: true,
  handle(_, { state }) {
    checkReady(state);
    return plainAnswer("ok");
  },
});

/** What text-embeddings-inference calls kinds of models; Cloze's tasks by their names. */
function typeOf(served: ServedModel): Record<string, unknown> {
  const { embedder, sparse, tokenEncoder, abilities } = served;
  const labels = abilities.task?.labels;
  if (embedder !== undefined) return { embedding: { pooling: embedder.options.pooling } };
  if (sparse !== undefined) return { embedding: { pooling: sparse.weighting.type } };
  if (tokenEncoder !== undefined) return { embedding: { pooling: "colbert" } };
  if (labels === undefined) return { [abilities.task?.task.name ?? "unknown"]: {} };
  const id2label = Object.fromEntries(labels.map((label, i) => [String(i), label]));
  const label2id = Object.fromEntries(labels.map((label, i) => [label, i]));
  return { [isReranker(served) ? "reranker" : "classifier"]: { id2label, label2id } };
}

const infoSchema = z.object({
  model_id: z.string(),
  model_sha: z.string().nullable(),
  model_dtype: z.string(),
  served_model_name: z.string(),
  model_type: z.record(z.string(), z.unknown()),
  max_concurrent_requests: z.int(),
  max_input_length: z.int(),
  max_batch_tokens: z.int(),
  max_batch_requests: z.int().nullable(),
  max_client_batch_size: z.int(),
  auto_truncate: z.boolean(),
  tokenization_workers: z.int(),
  version: z.string(),
  sha: z.string().nullable(),
  docker_label: z.string().nullable(),
});

const info = defineRoute({
  method: "GET",
  paths: ["/info"],
  dialect: "tei",
  group: "Text Embeddings Inference",
  summary: "What is served, and its limits; ?model=name for another than the first",
  query: { model: "name of a served model" },
  response: infoSchema,
  handle(_, exchange): z.output<typeof infoSchema> {
    const { state, query, pathModel } = exchange;
    const { settings } = state;
    const name = query.model ?? pathModel;
    const served = name === undefined ? [...state.models.values()][0] : modelNamed(exchange, name);
    if (served === undefined) throw new ServingError("unhealthy", "No model is loaded", { retryAfter: 1 });
    return {
      model_id: served.source,
      model_sha: null,
      model_dtype: served.dtype,
      served_model_name: served.name,
      model_type: typeOf(served),
      max_concurrent_requests: settings.maxConcurrentRequests,
      max_input_length: served.maxLength,
      max_batch_tokens: settings.maxBatchTokens,
      max_batch_requests: settings.maxBatchRequests ?? null,
      max_client_batch_size: settings.maxClientBatchSize,
      auto_truncate: settings.autoTruncate,
      // Texts are encoded on the thread that reads requests: that costs less than handing them to another.
      tokenization_workers: 1,
      version: state.version,
      sha: null,
      docker_label: null,
    };
  },
});

/** What a client of text-embeddings-inference finds at the root: what the first model is for. */
const root = defineRoute({
  method: "POST",
  paths: ["/", "/invocations"],
  dialect: "tei",
  group: "Text Embeddings Inference",
  summary: "As /embed, /embed_sparse, /predict or /rerank, by what the first model is for",
  example: { inputs: "a small cat" },
  body: z.unknown(),
  response: z.unknown(),
  inference: true,
  handle(body, exchange) {
    const served = chooseModel(exchange, undefined, () => true, "a model");
    const route =
      served.abilities.dense !== undefined
        ? embed
        : served.sparse !== undefined
          ? embedSparse
          : isReranker(served)
            ? rerank
            : predict;
    return answerWith(route, body, exchange);
  },
});

export const operationRoutes = [live, ready, info, root];
