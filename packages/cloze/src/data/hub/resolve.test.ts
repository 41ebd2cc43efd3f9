// From a path or an id to the folder of a model.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { commitOf } from "../../../test/fake-hub.js";
import { at, failure, pull, useFakeHub } from "../../../test/pulling.js";
import { resolveModelFolder } from "./resolve.js";

useFakeHub();

const resolve = (name: string) => resolveModelFolder(name, { cacheFolder: at.cacheFolder });
test("a path, an id, an id with a revision", async () => {
  expect(resolve(at.cacheFolder)).toBe(at.cacheFolder);
  const folder = await pull("org/model");
  expect(resolve("org/model")).toBe(folder);
  expect(resolve("org/model@main")).toBe(folder);
  expect(resolve(`org/model@${commitOf("org/model")}`)).toBe(folder);
  expect(await pull("gpt9")).toBe(resolve("gpt9"));
});

test("what is absent, or there in part, names the command", async () => {
  expect(() => resolve("org/model")).toThrow(/cloze pull org\/model/);
  const folder = await pull("org/model", { include: ["config.json"] });
  expect(() => resolve("org/model")).toThrow(/model.safetensors is missing/);
  writeFileSync(join(folder, "model.safetensors.index.json"), '{"weight_map":{"a":"model-1.safetensors"}}');
  expect(() => resolve("org/model")).toThrow(/model-1.safetensors is missing/);
  writeFileSync(join(folder, "model-1.safetensors"), "");
  expect(resolve("org/model")).toBe(folder);
});

test("paths are no ids", async () => {
  for (const path of ["./org/model", "/no/such", "a/b/c", "../x", "org/..", "org/na--me", "org/model@../main"]) {
    const error = await failure(Promise.resolve().then(() => resolve(path)));
    expect(error).toMatchObject({ code: "MODEL_NOT_FOUND" });
    expect(error.message).not.toContain("cloze pull");
    expect((await failure(pull(path))).code).toBe("HUB_ID_INVALID");
  }
  expect(at.hub.requests).toEqual([]);
});

test("offline: the cache or an error, and no request", async () => {
  vi.stubEnv("HF_HUB_OFFLINE", "1");
  expect(await failure(pull("org/model"))).toMatchObject({ code: "HUB_OFFLINE" });
  const folder = await pull("org/model", { offline: false });
  at.hub.requests.length = 0;
  expect(await pull("org/model")).toBe(folder);
  expect(at.hub.requests).toEqual([]);
});
