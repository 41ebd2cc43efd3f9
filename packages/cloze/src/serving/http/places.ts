// Which routes stand at a path, whatever the method; and which API is spoken where none does.
import type { Dialect } from "./dialects.js";
import type { Route } from "./route.js";

export interface Places {
  /** The routes at a path, of all methods. */
  at(path: string): readonly Route[];
  /** How a request to that path is refused before a route has it. */
  dialectOf(path: string): Dialect;
}

/** Models under a path of their own: a client that cannot name a model changes its base address. */
export const modelPrefix = "/models/:served";
const ofModel = /^\/models\/[^/]+(?=\/|$)/;

/** Beginnings of the paths of other services, whose clients ask for more than there is. */
const otherPaths: readonly (readonly [RegExp, Dialect])[] = [
  [/^\/v1(\/|$)/, "openai"],
  [/^\/v2(\/|$)/, "cohere"],
];

/** Finds routes by their paths; one that ends in `*` is at all paths that begin so. */
export function createPlaces(routes: readonly Route[]): Places {
  const known = routes.flatMap((route) => route.paths.map((path) => ({ path, route })));
  const at = (path: string): readonly Route[] => {
    const own = path.replace(ofModel, "") || "/";
    const isModels = own !== path;
    return known.flatMap(({ path: place, route }) => {
      const here = place.endsWith("*") ? own.startsWith(place.slice(0, -1)) : place === own;
      return here && !(isModels && route.open === true) ? [route] : [];
    });
  };
  return {
    at,
    dialectOf(path) {
      const own = path.replace(ofModel, "");
      return at(path)[0]?.dialect ?? otherPaths.find(([beginning]) => beginning.test(own))?.[1] ?? "tei";
    },
  };
}
