import { join } from "node:path";
import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { prepareTraining } from "../ours/training.js";
import { encoderFlops, maskedBatch, modelFolder, models, vocabularySize } from "../workload.js";

/** How a peer computes the head's loss: on every token, as people run it, or on masked tokens only. */
export const heads = [
  { head: "all", peerName: "transformers" },
  { head: "masked", peerName: "transformers, head on masked tokens" },
];

/** A masked-LM step: forward, backward, clip, AdamW. Peers: transformers with torch's AdamW. */
export async function training({ peersOnly, only }: Options): Promise<Row[]> {
  const rows: Row[] = [];
  const peak = await harness.measurePeak();
  const { ids, labels } = maskedBatch(8, 128);
  const masked = labels.flat().filter((label) => label !== -100).length;
  for (const model of Object.keys(models)) {
    const name = `${model} 8x128`;
    if (!name.includes(only)) continue;
    const shape = models[model];
    const contenders: harness.Contender[] = [];
    const job = peersOnly ? undefined : await prepareTraining(modelFolder(model), ids, labels);
    const loss = await job?.loss?.();
    if (job !== undefined) contenders.push(harness.ourContender(job));
    const servers: harness.Server[] = [];
    for (const { head, peerName } of heads) {
      const server = harness.startPeer("pytorch", join(modelFolder(model), "model.safetensors"));
      if (server === undefined) continue;
      servers.push(server);
      const reply = await server.ask({ cmd: "prepare", kind: "training", model, ids, labels, head });
      harness.note(`transformers: ${reply.version}`);
      if (loss !== undefined && !(Math.abs(loss - reply.loss!) <= 1e-3)) {
        harness.note(`training ${name}: our loss ${loss} beside ${reply.loss} of ${peerName}: not the same work`);
      }
      contenders.push(harness.contender(server, peerName));
    }
    const medians = await harness.interleave(contenders, {
      seconds: model === "bert-base" ? 60 : 20,
      minimumRounds: 3,
    });
    const { hidden_size: h } = shape;
    const forward =
      encoderFlops(
        shape,
        ids.map((row) => row.length),
      ) +
      2 * masked * (h * h + h * vocabularySize);
    rows.push(...harness.rowsOf("training", name, medians, { flops: 3 * forward, peak }));
    job?.close?.();
    for (const server of servers) server.close();
  }
  return rows;
}
