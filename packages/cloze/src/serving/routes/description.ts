// What the server says about itself: its description, a page of it, and its metrics.
import { apiPage } from "@cloze/workbench";
import { z } from "zod";
import { describeRoutes } from "../http/openapi.js";
import { defineRoute, plainAnswer, type Route } from "../http/route.js";

const group = "Operations";

const metrics = defineRoute({
  method: "GET",
  paths: ["/metrics"],
  dialect: "tei",
  group,
  summary: "Prometheus metrics, under their own names and text-embeddings-inference's",
  response: z.string(),
  type: "text/plain",
  handle: async (_, { state }) => plainAnswer(await state.metrics.text(), { type: state.metrics.contentType }),
});

const page = defineRoute({
  method: "GET",
  paths: ["/docs"],
  dialect: "tei",
  group,
  summary: "This description as a page",
  response: z.string(),
  type: "text/html",
  open: true,
  handle: () => plainAnswer(apiPage(), { type: "text/html; charset=utf-8" }),
});

/** The routes that describe the given ones, and themselves. */
export function describedBy(routes: readonly Route[]): readonly Route[] {
  const openapi: Route = defineRoute({
    method: "GET",
    paths: ["/openapi.json", "/api-doc/openapi.json"],
    dialect: "tei",
    group,
    summary: "This description (OpenAPI 3.1)",
    response: z.record(z.string(), z.unknown()),
    open: true,
    handle: (_, { state }) => describeRoutes(all, state.version),
  });
  const all: readonly Route[] = [...routes, metrics, page, openapi];
  return all;
}
