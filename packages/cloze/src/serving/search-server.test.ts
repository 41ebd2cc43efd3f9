import { expect, test } from "vitest";
import { type SearchAbout, serveSearch } from "./search-server.js";

const about: SearchAbout = {
  title: "Test",
  description: "A test.",
  placeholder: "type",
  examples: ["one"],
  evaluation: [["", "recall"]],
};
const search = (query: string, count: number) =>
  Array.from({ length: Math.min(count, 3) }, (_, i) => ({
    title: `${query} ${i}`,
    note: "n",
    text: "<b>",
    score: 1 - i / 10,
  }));

test("serves the page, what it is about, and answers", async () => {
  const { url, server } = await serveSearch({ about, documents: 3, search, port: 0 });
  try {
    const page = await fetch(url);
    expect(page.headers.get("content-type")).toContain("text/html");
    expect(await page.text()).toContain("api/search");
    expect(await (await fetch(`${url}/api/about`)).json()).toEqual(about);
    const found = await fetch(`${url}/api/search?q=${encodeURIComponent("größe & co")}&count=2`);
    const answer = (await found.json()) as { hits: { title: string }[] };
    expect(answer.hits.map(({ title }) => title)).toEqual(["größe & co 0", "größe & co 1"]);
    expect(await (await fetch(`${url}/api/search?q=%20`)).json()).toMatchObject({ hits: [] });
  } finally {
    await server.close();
  }
});

test("bad queries get 400, unknown paths 404, and the server lives on", async () => {
  const { url, server } = await serveSearch({ about, documents: 3, search, port: 0 });
  try {
    for (const bad of ["count=0", "count=x", "count=1000", `q=${"a".repeat(3000)}`, "q=a&q=b"]) {
      const response = await fetch(`${url}/api/search?${bad}`);
      expect([bad.slice(0, 20), response.status]).toEqual([bad.slice(0, 20), 400]);
    }
    expect((await fetch(`${url}/etc/passwd`)).status).toBe(404);
    expect((await fetch(url)).status).toBe(200);
  } finally {
    await server.close();
  }
});

test("a port that is taken gives way to a free one", async () => {
  const first = await serveSearch({ about, documents: 3, search, port: 0 });
  const port = Number(new URL(first.url).port);
  const second = await serveSearch({ about, documents: 3, search, port });
  expect(second.url).not.toBe(first.url);
  await first.server.close();
  await second.server.close();
});
