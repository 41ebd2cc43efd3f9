// The built `cloze demo`: what it learns and saves, and the page that it serves.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildCommand, collect, createCommandFolder, sentence } from "./cli-process.js";

const { path, start, result, failure, remove } = createCommandFolder("cloze-cli-demo-");

beforeAll(buildCommand, 300_000);
afterAll(remove);

const demo = (...args: string[]): string[] => ["demo", "--text", "small.txt", "--folder", "demo", ...args];

test("learns, then starts from what it saved", async () => {
  mkdirSync(path("demo/runs"), { recursive: true });
  writeFileSync(path("demo/runs/mine.txt"), "mine");
  const first = await result(...demo("--minutes", "0.1", "--no-serve"));
  expect(first.evaluation.map(({ name }: { name: string }) => name)).toContain("BM25");
  const started = performance.now();
  const second = await result(...demo("--minutes", "5", "--no-serve"));
  expect(second).toEqual(first);
  expect(performance.now() - started).toBeLessThan(20_000);
  writeFileSync(path("other.txt"), Array.from({ length: 40 }, (_, i) => `${sentence(i)} again\n`).join(""));
  expect(await failure("demo", "--text", "other.txt", "--folder", "demo", "--no-serve")).toBe("DEMO_FOLDER");
  await result("demo", "--text", "other.txt", "--folder", "demo", "--no-serve", "--minutes", "0.05", "--retrain");
  // A folder may hold other things; they stay.
  expect(readFileSync(path("demo/runs/mine.txt"), "utf8")).toBe("mine");
  expect(await failure(...demo("--no-serve"))).toBe("DEMO_FOLDER");
});

test("serves its page until Ctrl-C", async () => {
  const child = start(["demo", "--text", "other.txt", "--folder", "demo", "--port", "0", "--no-open", "--json"]);
  const ended = collect(child);
  const url = await new Promise<string>((resolve, reject) => {
    let text = "";
    child.stdout?.on("data", (part) => {
      text += part;
      if (text.endsWith("\n")) resolve(JSON.parse(text).url);
    });
    child.on("close", () => reject(new Error("The demo ended before it served anything")));
  });
  const get = async (place: string) => {
    const response = await fetch(`${url}${place}`);
    return { status: response.status, text: await response.text() };
  };
  expect((await get("/")).text).toContain("<html");
  const about = JSON.parse((await get("/api/about")).text);
  expect(Object.keys(about).sort()).toEqual(["description", "evaluation", "examples", "placeholder", "title"]);
  const { hits } = JSON.parse((await get("/api/search?q=cat&count=3")).text);
  expect(hits).toHaveLength(3);
  for (const nothing of ["", "%20", "%00", "%E2%80%8B"]) {
    expect(JSON.parse((await get(`/api/search?q=${nothing}`)).text).hits, nothing).toEqual([]);
  }
  for (const bad of [
    "q=a&count=0",
    "q=a&count=101",
    "q=a&count=1.5",
    "q=a&count=x",
    "q=a&q=b",
    `q=${"a".repeat(2001)}`,
  ]) {
    const { status, text } = await get(`/api/search?${bad}`);
    expect(status, bad.slice(0, 40)).toBe(400);
    expect(JSON.parse(text).error.code).toBe("BAD_QUERY");
  }
  expect(await get("/nothing")).toMatchObject({ status: 404, text: expect.stringContaining("NOT_FOUND") });
  child.kill("SIGINT");
  const { status, stderr } = await ended;
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});
