// Models that no Hugging Face class describes: pre-norm, bags of embeddings, layers of different widths. Everything stands
// under "cloze" in config.json, and weights have Cloze's own names.
import { z } from "zod";
import { type EncoderConfig, encoderSchema } from "../encoder/config.js";
import { encoderSpecs } from "../encoder/encoder.js";
import { parseConfig } from "../encoder/registry.js";
import { type HeadConfig, headSchema, headSpecs } from "../heads/index.js";
import type { HeadFields } from "./architectures.js";
import { coded } from "./coded-layout.js";
import type { Family, NameMap } from "./family.js";
import { stacked } from "./stored-layout.js";

const schema = z.looseObject({
  cloze: z.looseObject({ version: z.literal(1), encoder: encoderSchema, head: headSchema }),
});

function names(encoder: EncoderConfig, head: HeadConfig): NameMap {
  const all = [
    ...encoderSpecs(encoder).map(({ name, codes }) => ({ name: `encoder.${name}`, codes })),
    ...headSpecs(head, encoder).map(({ name, codes }) => ({ name: `head.${name}`, codes })),
  ];
  return new Map(
    all.map(({ name, codes }) => [
      name,
      codes === undefined
        ? { names: [name], layout: stacked }
        : { names: [`${name}.codes`, `${name}.ranges`], layout: coded(codes) },
    ]),
  );
}

/** What a head says for other heads on the same encoder. */
function fieldsOf(head: HeadConfig): HeadFields {
  const classifier =
    "labels" in head ? { labels: head.labels, names: head.names, dropout: head.dropout, bias: head.bias } : {};
  return {
    ...classifier,
    ...("crf" in head ? { crf: head.crf } : {}),
    ...("problem" in head ? { problem: head.problem } : {}),
    ...("pooler" in head ? { pooling: head.pooling, pooler: head.pooler } : {}),
    ...("tied" in head ? { tied: head.tied, transform: head.transform, decoderBias: head.decoderBias } : {}),
  };
}

export const cloze: Family = {
  modelType: "cloze",
  classPrefix: "Cloze",
  fields: [],
  readConfig(json) {
    const { encoder, head } = parseConfig(schema, json, "config.json").cloze;
    return { encoder, head: fieldsOf(head), ownHead: head };
  },
  writeConfig: (encoder, head) => ({ cloze: { version: 1, encoder, head } }),
  names,
  aliases: () => [],
};
