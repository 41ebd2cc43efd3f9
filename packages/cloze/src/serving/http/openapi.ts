// The server's description, made from its routes.
import { z } from "zod";
import { errorSchemas, refusalStatuses } from "./dialects.js";
import type { Route } from "./route.js";

const schemaOf = (schema: z.ZodType, io: "input" | "output"): object =>
  z.toJSONSchema(schema, { io, unrepresentable: "any", target: "draft-2020-12" });

const content = (schema: object, type = "application/json") => ({ [type]: { schema } });

/** Statuses that mean something for a route: those without a body cannot be sent a wrong one. */
function refusals({ dialect, body, inference, open }: Route): object {
  const possible = refusalStatuses(dialect).filter((status) => {
    if (status === 429 || status === 504) return inference === true;
    if (status === 400 || status === 413 || status === 415 || status === 422 || status === 424)
      return body !== undefined;
    return status !== 405 && (status !== 401 || open !== true);
  });
  return Object.fromEntries(
    possible.map((status) => [
      String(status),
      { description: descriptions[status], content: content(errorSchemas[dialect]) },
    ]),
  );
}

const descriptions: Readonly<Record<number, string>> = {
  400: "The body is no JSON, or a field is missing, wrong or empty",
  401: "No valid key",
  404: "No such path or model",
  413: "The body is too large",
  415: "The body is not said to be JSON",
  422: "A field is missing or wrong, or a text is too long",
  424: "The model is no model for this",
  429: "Busy; Retry-After says when to try again",
  500: "Something went wrong inside",
  503: "Loading, or going down",
  504: "Not answered in time",
};

/** An OpenAPI 3.1 document. */
export function describeRoutes(routes: readonly Route[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    for (const path of route.paths) {
      const operation = {
        tags: [route.group],
        summary: route.summary,
        ...(route.open === true ? { security: [] } : {}),
        ...(route.query && {
          parameters: Object.entries(route.query).map(([name, description]) => ({
            name,
            in: "query",
            description,
            schema: { type: "string" },
          })),
        }),
        ...(route.body && {
          requestBody: {
            required: true,
            content: { "application/json": { schema: schemaOf(route.body, "input"), example: route.example } },
          },
        }),
        responses: {
          200: { description: "The answer", content: content(schemaOf(route.response, "output"), route.type) },
          ...refusals(route),
        },
      };
      const place = path.replace("*", "{name}");
      const known = paths[place]?.[route.method.toLowerCase()] as typeof operation | undefined;
      // A path that two APIs share takes either body.
      paths[place] = {
        ...paths[place],
        [route.method.toLowerCase()]: known === undefined ? operation : joined(known, operation),
      };
      if (place !== path)
        Object.assign(operation, {
          parameters: [{ name: "name", in: "path", required: true, schema: { type: "string" } }],
        });
    }
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Cloze",
      version,
      description:
        "Encoders over HTTP: OpenAI's, Cohere's and text-embeddings-inference's endpoints, and Cloze's own. Every path also stands under /models/{name}, for one model.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: { securitySchemes: { key: { type: "http", scheme: "bearer" } } },
    security: [{ key: [] }, {}],
  };
}

interface Described {
  readonly requestBody?: { content: { "application/json": { schema: object; example?: unknown } } };
  readonly responses: Record<string, { description: string; content: ReturnType<typeof content> }>;
}

function joined<Operation extends Described>(one: Operation, other: Operation): Operation {
  const either = (a: object | undefined, b: object | undefined) => ({
    anyOf: [a, b].filter((each) => each !== undefined),
  });
  const schema = ({ requestBody }: Operation) => requestBody?.content["application/json"].schema;
  const answer = ({ responses }: Operation) => responses[200].content["application/json"].schema;
  return {
    ...one,
    requestBody: {
      required: true,
      content: {
        "application/json": {
          schema: either(schema(one), schema(other)),
          example: other.requestBody?.content["application/json"].example,
        },
      },
    },
    responses: {
      ...one.responses,
      ...other.responses,
      200: { description: "The answer", content: content(either(answer(one), answer(other))) },
    },
  };
}
