import { rmSync } from "node:fs";
import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { type GenerationWork, prepareGeneration } from "../ours/generation.js";

const works: readonly GenerationWork[] = [
  { prompt: 32, newTokens: 128, beams: 1 },
  { prompt: 512, newTokens: 128, beams: 1 },
  { prompt: 32, newTokens: 64, beams: 4 },
];
/** Reading everything again is so slow that only so many tokens of it are timed, from the middle of the text. */
const rereadTokens = 4;

/**
 * Going on with a text by a random GPT-2 small: the likeliest tokens, and beams. Beside our cache stand reading the whole text
 * again for each token, and transformers' `generate` with its cache, on the same weights.
 */
export async function generation({ peersOnly, only }: Options): Promise<Row[]> {
  const rows: Row[] = [];
  const chosen = works
    .map((work) => ({
      work,
      name: `gpt2-small ${work.prompt}+${work.newTokens}${work.beams > 1 ? ` ${work.beams} beams` : ""}`,
    }))
    .filter(({ name }) => name.includes(only));
  const ours = prepareGeneration();
  const folder = harness.scratch("gpt2-small");
  for (const { work, name } of chosen) {
    const contenders: harness.Contender[] = [];
    const server = harness.startPeer("pytorch");
    let made: readonly number[] = [];
    if (!peersOnly) {
      made = ours.run(work, true);
      const bytes = ours.peakBytes();
      if (made.length < work.newTokens) harness.note(`${name}: the text ended after ${made.length} tokens`);
      contenders.push(harness.ourContender({ run: () => void ours.run(work, true) }));
      const middle = { ...work, prompt: work.prompt + (work.newTokens - rereadTokens) / 2, newTokens: rereadTokens };
      const rereading = harness.ourContender({ run: () => void ours.run(middle, false) });
      contenders.push({
        name: "cloze, reading all again",
        take: async (repeat) => (await rereading.take(repeat)).map((time) => (time * work.newTokens) / rereadTokens),
      });
      ours.run(middle, false);
      harness.note(
        `${name}: at most ${(bytes / 1e6).toFixed(1)} MB beside the weights, reading all again ${(ours.peakBytes() / 1e6).toFixed(1)} MB`,
      );
    }
    if (server !== undefined) {
      ours.save(folder);
      const reply = await server.ask({
        cmd: "prepare",
        kind: "generation",
        folder,
        ids: [ours.promptIds(work)],
        ...work,
      });
      harness.note(`transformers: ${reply.version}`);
      const differs = reply.ids!.findIndex((id, i) => id !== made[i]);
      if (!peersOnly && differs >= 0) harness.note(`${name}: token ${differs} is another one than transformers'`);
      contenders.push(harness.contender(server, "transformers"));
    }
    if (contenders.length > 0) {
      const medians = await harness.interleave(contenders, { seconds: 20, minimumRounds: 3, warmed: true });
      const work1000 = work.newTokens * 1000;
      rows.push(...harness.rowsOf("generation", name, medians, { unit: "tokens/s", work: work1000 }));
    }
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  }
  ours.close();
  return rows;
}
