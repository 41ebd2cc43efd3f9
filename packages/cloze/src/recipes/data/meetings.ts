// Long meetings with questions and the turns that answer them.
import { type RandomSource, randomSource } from "../../data/random-source.js";
import { sharedText } from "./shared-text.js";

export interface Meeting {
  readonly id: string;
  /** Speaker and what was said. */
  readonly turns: readonly (readonly [string, string])[];
}

export interface MeetingQuestion {
  readonly text: string;
  readonly meeting: string;
  /** First and last turn of each passage that answers it. */
  readonly spans: readonly (readonly [number, number])[];
}

export interface Meetings {
  readonly source: string;
  readonly meetings: readonly Meeting[];
  readonly questions: readonly MeetingQuestion[];
}

const parsed = <Row>(lines: string): Row[] =>
  lines
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Row);

/** QMSum: all meetings, and the questions of its validation and test parts for which the turns are known. */
function sharedMeetings(): Meetings | undefined {
  const corpus = sharedText("qmsum/corpus.jsonl");
  const questions = ["val", "test"].map((split) => sharedText(`qmsum/queries_${split}.jsonl`));
  if (corpus === undefined || questions.some((text) => text === undefined)) return undefined;
  return {
    source: "QMSum",
    meetings: parsed<{ _id: string; turns: [string, string][] }>(corpus).map(({ _id, turns }) => ({ id: _id, turns })),
    questions: questions
      .flatMap((text) => parsed<{ text: string; doc: string; spans?: [number, number][] }>(text as string))
      .flatMap(({ text, doc, spans = [] }) => (spans.length === 0 ? [] : [{ text, meeting: doc, spans }])),
  };
}

/** Common words are drawn far more often than rare ones. */
const common = (random: RandomSource): string => `w${Math.floor(1500 * random() ** 3)}`;

/**
 * Made meetings: talk of common words, in which some stretches of turns keep to a topic, and questions with words of a topic.
 * The same words come up in passing elsewhere.
 */
export function madeMeetings(seed: number, { meetings = 60, topics = 4, turns = 200 } = {}): Meetings {
  const random = randomSource(seed, 0x6d65);
  const between = (low: number, high: number) => low + Math.floor(random() * (high - low));
  const questions: MeetingQuestion[] = [];
  const made = Array.from({ length: meetings }, (_, m): Meeting => {
    const id = `m${m}`;
    const first = between(0, Math.floor(turns / 8));
    const spans = Array.from({ length: topics }, (_, t) => {
      const start = first + Math.floor((t * (turns - first)) / topics);
      return [start, start + between(8, 20)] as const;
    });
    const words = spans.map(() => Array.from({ length: 6 }, () => `t${between(0, 900)}`));
    spans.forEach((span, t) => {
      const asked = words[t].slice(0, 3).join(" ");
      questions.push({ text: `${common(random)} ${asked} ${common(random)}`, meeting: id, spans: [span] });
    });
    return {
      id,
      turns: Array.from({ length: turns }, (_, turn) => {
        const topic = spans.findIndex(([start, end]) => turn >= start && turn <= end);
        const said = Array.from({ length: between(3, 50) }, () => {
          if (topic >= 0 && random() < 0.08) return words[topic][between(0, 6)];
          return random() < 0.01 ? `t${between(0, 900)}` : common(random);
        });
        return [`speaker ${between(0, 4)}`, said.join(" ")] as const;
      }),
    };
  });
  return { source: "made meetings", meetings: made, questions };
}

/** QMSum where ../shared/data is at hand, made meetings elsewhere. */
export const longMeetings = (seed: number): Meetings => sharedMeetings() ?? madeMeetings(seed);
