// Pages as text; they fetch their data from the server that hands them out.
import { readFileSync } from "node:fs";

/** The search page: GET /api/about describes it, GET /api/search?q=… answers it. */
export const searchPage = (): string => readFileSync(new URL("../pages/search.html", import.meta.url), "utf8");

/** The page of a server's description: GET openapi.json gives it. */
export const apiPage = (): string => readFileSync(new URL("../pages/api.html", import.meta.url), "utf8");
