// Every route: one line for each file.
import type { Route } from "../http/route.js";
import { cohereRerankRoutes } from "./cohere-rerank.js";
import { describedBy } from "./description.js";
import { openaiRoutes } from "./openai.js";
import { operationRoutes } from "./operations.js";
import { predict } from "./predict.js";
import { rerank } from "./rerank.js";
import { searchRoutes } from "./search.js";
import { taskRoutes } from "./tasks.js";
import { textEmbeddingsRoutes } from "./text-embeddings.js";
import { tokenRoutes } from "./tokens.js";

/** In the order of their description. */
export const routes: readonly Route[] = describedBy([
  ...openaiRoutes,
  ...cohereRerankRoutes,
  rerank,
  ...textEmbeddingsRoutes,
  predict,
  ...tokenRoutes,
  ...taskRoutes,
  ...searchRoutes,
  ...operationRoutes,
]);
