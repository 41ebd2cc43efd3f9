import { uniformEncoder } from "cloze";
import { prepareStep } from "cloze/recipes";
import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { fullBatch, vocabularySize } from "../workload.js";
import { heads } from "./training.js";

/** ELECTRA-small: 12 layers of 256, embeddings of 128, a generator of a quarter of the width (arXiv 2003.10555, table 6). */
const shape = { layers: 12, hiddenSize: 256, embeddingSize: 128, heads: 4, generatorWidth: 0.25 };

/** ELECTRA's step on 16×128 tokens, both towers: forward, backward, clip, AdamW. Peers: transformers with torch's AdamW. */
export async function electra({ peersOnly }: Options): Promise<Row[]> {
  const ids = fullBatch(16, 128);
  const contenders: harness.Contender[] = [];
  const { layers, hiddenSize, embeddingSize, generatorWidth } = shape;
  const objective = { type: "replaced-token-detection", generatorWidth };
  const encoder = uniformEncoder({
    vocabularySize,
    layers,
    hiddenSize,
    heads: shape.heads,
    maxPositions: 512,
    embeddings: { size: embeddingSize },
  });
  const ours = peersOnly
    ? undefined
    : prepareStep(objective, { encoder, sequences: ids.length, length: ids[0].length });
  let loss: number | undefined;
  if (ours !== undefined) {
    loss = ours.step();
    contenders.push(harness.ourContender({ run: () => void ours.step() }));
  }
  for (const { head, peerName } of heads) {
    const server = harness.startPeer("pytorch");
    if (server === undefined) continue;
    const reply = await server.ask({ cmd: "prepare", kind: "electra", ids, head, share: 0.15, ...shape });
    harness.note(`transformers: ${reply.version}`);
    // Both draw weights and tokens of their own: the first losses are near each other, not the same.
    if (loss !== undefined && !(Math.abs(loss / reply.loss! - 1) <= 0.05)) {
      harness.note(`electra: our first loss ${loss} beside ${reply.loss} of ${peerName}: not the same work`);
    }
    contenders.push(harness.contender(server, peerName));
  }
  const peak = await harness.measurePeak();
  const medians = await harness.interleave(contenders, { seconds: 60, minimumRounds: 5 });
  const rows = harness.rowsOf("electra", "12x256 and 12x64, 16x128", medians, { flops: ours?.flops, peak });
  ours?.dispose();
  return rows;
}
