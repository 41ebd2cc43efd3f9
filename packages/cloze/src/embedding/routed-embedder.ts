// One embedder for queries and another for documents behind one face: sentence-transformers' Router.
import { scope, type Tensor } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import { normalizeRows } from "../objectives/contrastive.js";
import type { Embedder, TextKind } from "./embedder.js";
import type { TextRoles } from "./text-roles.js";

/** Which embedder reads which texts. */
export interface EmbedderRoutes {
  /** The embedders by the names of their routes; they may share models and modules. */
  readonly embedders: ReadonlyMap<string, Embedder>;
  /** The name of the route of texts of a role; undefined: of texts for which none is said. */
  readonly chosen: RouteChoice;
  /** The embedder of texts of a role. @throws ROUTE_UNKNOWN */
  of(role?: keyof TextRoles): Embedder;
}

/** The routes of texts; where a role has none, its texts are refused. */
export interface RouteChoice {
  readonly query?: string;
  readonly document?: string;
  /** Of texts whose role is not said. */
  readonly default?: string;
}

/** The embedder that reads texts of a role: one of its routes', or itself. @throws ROUTE_UNKNOWN */
export const routeFor = (embedder: Embedder, role?: keyof TextRoles): Embedder => embedder.routes?.of(role) ?? embedder;

function checkRoutes(embedders: ReadonlyMap<string, Embedder>, chosen: RouteChoice): void {
  const unknown = [chosen.query, chosen.document, chosen.default].find(
    (name) => name !== undefined && !embedders.has(name),
  );
  if (unknown !== undefined || embedders.size === 0) {
    throw new ClozeError("INVALID_OPTION", "A role's route is none of the embedder's", {
      expected: [...embedders.keys()].join(", ") || "at least one route",
      received: unknown ?? "none",
    });
  }
  const widths = new Set([...embedders.values()].map(({ width }) => width));
  if (widths.size > 1) {
    throw new ClozeError("INVALID_OPTION", "Vectors of different routes cannot be compared", {
      expected: "one length for all",
      received: [...embedders].map(([name, { width }]) => `${name}: ${width}`).join(", "),
    });
  }
}

/** Every parameter once: those that routes share have the name of the first. */
function parametersOf(embedders: ReadonlyMap<string, Embedder>): Map<string, Tensor> {
  const parameters = new Map<string, Tensor>();
  const known = new Set<Tensor>();
  for (const [route, embedder] of embedders) {
    for (const [name, value] of embedder.parameters) {
      if (known.has(value)) continue;
      known.add(value);
      parameters.set(`routes.${route}.${name}`, value);
    }
  }
  return parameters;
}

/**
 * Puts embedders together so that the role of a text says which one reads it; it owns them. It is searched with, trained,
 * evaluated and saved like any other; `model`, `tokenizer` and settings are those of the route of documents.
 *
 * @param embedders by the names of their routes
 * @param chosen default: the routes "query" and "document", and texts without a role are documents
 * @throws INVALID_OPTION where a route does not exist, or vectors differ in length
 * @example
 * const both = createRoutedEmbedder({ query: createStaticEmbedder(tokenizer, { width: 384 }), document: loadEmbedder("all-MiniLM-L6-v2") });
 * both.embed(questions, { role: "query" });
 */
export function createRoutedEmbedder(
  routes: Readonly<Record<string, Embedder>>,
  chosen: RouteChoice = { query: "query", document: "document", default: "document" },
): Embedder {
  const embedders = new Map(Object.entries(routes));
  checkRoutes(embedders, chosen);
  const of: EmbedderRoutes["of"] = (role) => {
    const name = role === undefined ? chosen.default : chosen[role];
    const found = name === undefined ? undefined : embedders.get(name);
    if (found !== undefined) return found;
    throw new ClozeError(
      "ROUTE_UNKNOWN",
      role === undefined
        ? "This embedder reads queries and documents differently, and no role was said"
        : `This embedder has no route for a ${role}`,
      {
        expected: (["query", "document"] as const).filter((one) => chosen[one] !== undefined).join(" or ") || "no role",
        received: role ?? "none",
        remedy: 'Say what the texts are: { role: "query" } in the library, --role query in cloze embed.',
      },
    );
  };
  const forKind = ({ role }: TextKind = {}): Embedder => of(role);
  const usual = chosen.document ?? chosen.default ?? chosen.query;
  const main = (usual === undefined ? undefined : embedders.get(usual)) ?? [...embedders.values()][0];
  const all = [...embedders.values()];
  const normalize = all.every(({ options }) => options.normalize);
  /** Where only some routes end with vectors of length 1, that is a step of theirs. */
  const finished = (role: TextKind["role"], run: (embedder: Embedder) => Tensor): Tensor => {
    const embedder = of(role);
    const x = run(embedder);
    return embedder.options.normalize && !normalize ? scope(() => normalizeRows(x)) : x;
  };
  return {
    ...main,
    options: { ...main.options, normalize },
    routes: { embedders, chosen, of },
    parameters: parametersOf(embedders),
    promptOf: (kind) => forKind(kind).promptOf(kind),
    tokenize: (texts, kind, counts) => forKind(kind).tokenize(texts, kind, counts),
    fieldIndex: (field) => main.fieldIndex(field),
    packTokens: (ids, kind = {}) => ({ ...forKind(kind).packTokens(ids, kind), role: kind.role }),
    pack(texts, kind = {}) {
      const whole = typeof kind === "string" ? { role: kind } : kind;
      return { ...forKind(whole).pack(texts, whole), role: whole.role };
    },
    embedBatch: (batch, options) => finished(batch.role, (embedder) => embedder.embedBatch(batch, options)),
    poolTokens: (hidden, batch) => finished(batch.role, (embedder) => embedder.poolTokens(hidden, batch)),
    hiddenOf: (batch) => of(batch.role).hiddenOf(batch),
    embed: (texts, options) => forKind(options).embed(texts, options),
    embedAsync: async (texts, options) => forKind(options).embedAsync(texts, options),
    truncate: (options) =>
      createRoutedEmbedder(
        Object.fromEntries([...embedders].map(([name, embedder]) => [name, embedder.truncate(options)])),
        chosen,
      ),
    dispose() {
      // What routes share is freed once: freeing it again does nothing.
      for (const embedder of all) embedder.dispose();
    },
  };
}
