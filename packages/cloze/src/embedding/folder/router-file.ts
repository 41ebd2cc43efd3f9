// The router_config.json of a Router (formerly Asym, in config.json): modules by routes, and which texts take which route.
import { files, paths } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import type { RouteChoice } from "../routed-embedder.js";
import { readJson } from "./json-file.js";

const { existsSync } = files;
const { join } = paths;

/** A module of a folder: its class by the last segment, and where its files are. */
export interface Step {
  readonly type: string;
  /** From the embedder's folder. */
  readonly path: string;
}

export interface RouterFile {
  readonly routes: ReadonlyMap<string, readonly Step[]>;
  readonly chosen: RouteChoice;
}

/** Both names of the class. */
export const routerTypes: readonly string[] = ["Router", "Asym"];
export const routerFile = "router_config.json";

const schema = z.looseObject({
  types: z.record(z.string(), z.string()),
  structure: z.record(z.string(), z.array(z.string())),
  parameters: z
    .looseObject({
      default_route: z.string().nullish(),
      allow_empty_key: z.boolean().default(true),
      route_mappings: z.record(z.string(), z.string()).nullish(),
    })
    .prefault({}),
});

/** The class of a module by the last segment of its type. */
export const lastSegment = (type: string): string => type.split(".").pop() ?? "";

type Task = "query" | "document" | undefined;

/** How Python writes what a rule asks of texts: a task, and that they are texts. */
const rule = (task: Task, text: boolean): string =>
  `(${task === undefined ? "None" : `'${task}'`}, ${text ? "'text'" : "None"})`;

/** @throws EMBEDDER_FILE */
export function readRouter(folder: string, path: string): RouterFile {
  const named = [routerFile, "config.json"].map((name) => join(folder, path, name));
  const file = named.find(existsSync) ?? named[0];
  const { types, structure, parameters } = readJson(file, schema);
  const invalid = (received: string): ClozeError =>
    new ClozeError("EMBEDDER_FILE", `${file} is not what sentence-transformers writes`, {
      expected: "routes of modules that it lists",
      received,
    });
  const routes = new Map(
    Object.entries(structure).map(([name, ids]) => [
      name,
      ids.map((id): Step => {
        if (!Object.hasOwn(types, id)) throw invalid(`${name}: ${id}`);
        return { type: lastSegment(types[id]), path: join(path, id) };
      }),
    ]),
  );
  const [first] = routes.keys();
  if (first === undefined) throw invalid("no route");
  const { default_route: given, allow_empty_key: anyKey, route_mappings: mappings } = parameters;
  const usual = given ?? (anyKey ? first : undefined);
  /** The first rule that holds, else the route of that name; texts without a task have the default. */
  const resolve = (task: Task): string | undefined => {
    const rules = [rule(task, true), rule(task, false), rule(undefined, true), rule(undefined, false)];
    const mapped = rules.map((key) => mappings?.[key]).find((route) => route !== undefined);
    return (
      mapped ?? [task, "text"].find((name) => name !== undefined && routes.has(name)) ?? (task ? undefined : usual)
    );
  };
  const chosen = { query: resolve("query"), document: resolve("document"), default: resolve(undefined) };
  const unknown = Object.values(chosen).find((name) => name !== undefined && !routes.has(name));
  if (unknown !== undefined) throw invalid(`a rule for the route ${unknown}`);
  return { routes, chosen };
}

/** The parameters of a router that chooses like this. */
export function routerParameters(chosen: RouteChoice): Record<string, unknown> {
  const roles = (["query", "document"] as const).filter((role) => chosen[role] !== undefined && chosen[role] !== role);
  return {
    default_route: chosen.default ?? null,
    allow_empty_key: chosen.default !== undefined,
    route_mappings: Object.fromEntries(roles.map((role) => [rule(role, false), chosen[role]])),
  };
}
