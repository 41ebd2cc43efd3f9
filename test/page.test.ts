// The search page in a real browser: Chromium loads it, its script asks the server, and the answers stand in the document.
import { execFile, spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { serveSearch } from "../packages/cloze/src/serving/search-server.js";

const browser = ["chromium", "chromium-browser", "google-chrome"].find(
  (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0,
);
if (browser === undefined) console.warn("page.test.ts skips: no Chromium; apt-get install chromium brings one.");

test.skipIf(browser === undefined)(
  "shows what it is about, answers the query in its address, and escapes what it shows",
  async () => {
    const { url, server } = await serveSearch({
      about: {
        title: "Reverse dictionary",
        description: "Describe a thing.",
        placeholder: "type here",
        examples: ["a large animal"],
        evaluation: [
          ["", "recall@10"],
          ["BM25", "0.220"],
        ],
      },
      documents: 117791,
      search: (query) => [
        { title: `answer to ${query}`, note: "noun", text: "<img src=x onerror=alert(1)>", score: 0.9 },
        { title: "second", note: "verb", text: "plain", score: 0.3 },
      ],
      port: 0,
    });
    try {
      // Asynchronous, because the server lives in this process.
      const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"];
      const page = await new Promise<string>((resolve, reject) => {
        execFile(browser as string, [...flags, `${url}/?q=big%20cat`], { timeout: 50_000 }, (error, stdout) =>
          error ? reject(error) : resolve(stdout),
        );
      });
      expect(page).toContain('<h1 id="title">Reverse dictionary</h1>');
      expect(page).toContain("<strong>answer to big cat</strong>");
      expect(page).toContain("&lt;img src=x onerror=alert(1)&gt;");
      expect(page).toMatch(/117,791 documents in \d+ ms/);
      expect(page).toContain("<td>0.220</td>");
      expect(page).toContain("a large animal</button>");
    } finally {
      await server.close();
    }
  },
);
