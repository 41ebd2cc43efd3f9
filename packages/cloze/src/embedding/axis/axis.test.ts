// The moral direction (arXiv 2103.11790): what must hold of any axis, exactly; published scores; files; the cosine baseline.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tensor } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { randomSource } from "../../data/random-source.js";
import { pearsonCorrelation, rocAuc } from "../../metrics/index.js";
import { loadEmbedder } from "../sentence-transformers.js";
import { encoderFolderOf } from "./axis-file.js";
import {
  answerBias,
  axisPreset,
  createAxis,
  fitDirection,
  loadAxis,
  moral,
  moralDirection,
  moralTemplates,
  principalComponents,
  saveAxis,
  wardClusters,
} from "./index.js";
import { signAwayFrom } from "./orientation.js";
import type { PhraseEncoder } from "./phrase-vectors.js";
import { singularValues } from "./singular-values.js";

const fixtures = fileURLToPath(new URL("../../../test/fixtures/", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "cloze-axis-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const code = (wanted: string) => expect.objectContaining({ code: wanted });

const width = 24;
const random = randomSource(7);
/** Nearly normal. */
const normal = () => Array.from({ length: 12 }, random).reduce((sum, value) => sum + value, -6);
const randomRows = (rows: number, columns: number) =>
  Array.from({ length: rows }, () => Float64Array.from({ length: columns }, normal));
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, i) => sum + value * b[i], 0);

/** Vectors by what the text says: known verbs lie at two ends of a hidden direction, in noise that depends on the text. */
const hidden = randomRows(1, width)[0];
function vectorOf(text: string): number[] {
  let key = 0;
  for (const character of text) key = (Math.imul(key, 31) + character.codePointAt(0)!) >>> 0;
  const noise = randomSource(11, key);
  const has = (words: readonly string[]) => text.split(/\W+/).some((word) => words.includes(word));
  const side = has(moral.low) ? -1 : has(moral.high) ? 1 : 0;
  return Array.from(hidden, (value) => 3 + side * value + 0.8 * (noise() - 0.5));
}
/** An encoder of such vectors, which counts what it is asked. */
function fakeEncoder(change: (vector: number[]) => number[] = (vector) => vector) {
  const asked: string[] = [];
  const encoder: PhraseEncoder = {
    width,
    embed(texts, options) {
      expect(options).toMatchObject({ normalize: false });
      asked.push(...texts);
      return tensor(
        texts.flatMap((text) => change(vectorOf(text))),
        [texts.length, width],
      );
    },
  };
  return { ...encoder, asked };
}
const phrases = ["kill time", "help a thief", "smile to my friend", "torture people", "eat meat"];
const near = (a: ArrayLike<number>, b: ArrayLike<number>, digits = 5) => {
  expect(a.length).toBe(b.length);
  for (let i = 0; i < a.length; i++) expect(a[i]).toBeCloseTo(b[i], digits);
};

const table = (name: string) =>
  readFileSync(join(fixtures, "moral-direction", name), "utf8")
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"));

test("published scores against the user study", () => {
  const study = table("user_study.tsv");
  const published = new Map(
    table("published_bert_moral_direction.tsv").map(([action, score]) => [action, Number(score)]),
  );
  expect(study).toHaveLength(116);
  for (const [, yes, no, score] of study)
    expect(Number(score)).toBeCloseTo(Number(yes) / (Number(yes) + Number(no)), 5);
  const people = study.map(([, , , score]) => Number(score));
  const scores = study.map(([action]) => published.get(action) ?? Number.NaN);
  expect(pearsonCorrelation(people, scores)).toBeCloseTo(0.835, 3);
  // A linear scale of the answers changes nothing.
  const shifted = people.map((share) => (share - 0.5) / 0.5);
  expect(pearsonCorrelation(shifted, scores)).toBeCloseTo(pearsonCorrelation(people, scores), 12);
});

const checkpoint = fileURLToPath(new URL("../../../../../../shared/models/all-MiniLM-L6-v2", import.meta.url));

test.skipIf(!existsSync(checkpoint))(
  "a real sentence encoder agrees with people",
  () => {
    const study = table("user_study.tsv");
    const actions = study.map(([action]) => action);
    const people = study.map(([, , , score]) => Number(score));
    const embedder = loadEmbedder(checkpoint);
    const axis = fitDirection(embedder, moralDirection);
    expect(pearsonCorrelation(people, axis.score(actions, { form: "without-question" }))).toBeGreaterThan(0.5);
    const ends = [...moral.high, ...moral.low];
    const scores = axis.score(ends);
    expect(
      rocAuc(
        ends.map((_, i) => Number(i < moral.high.length)),
        scores,
      ),
    ).toBeGreaterThan(0.95);
    embedder.dispose();
  },
  120_000,
);

test("the seeds are the paper's", () => {
  expect([moral.high.length, moral.low.length, moral.phrases.length]).toEqual([24, 24, 64]);
  expect(new Set(moral.phrases).size).toBe(64);
  expect(moralDirection.templates).toHaveLength(10);
  expect(moralTemplates[9]).toEqual({ question: "May I {}?", no: "No, you may not.", yes: "Yes, you may." });
});

describe("singular values", () => {
  test.each([
    [5, 9],
    [9, 5],
    [6, 6],
  ])("%i x %i: the matrix again, orthonormal vectors, largest first", (rows, columns) => {
    const matrix = randomRows(rows, columns);
    const { values, right } = singularValues(matrix);
    expect([...values]).toEqual([...values].sort((a, b) => b - a));
    right.forEach((a, i) => {
      right.forEach((b, j) => {
        expect(dot(a, b)).toBeCloseTo(Number(i === j), 12);
      });
    });
    // Of the rows' squares, each vector has its value's.
    for (const [i, vector] of right.entries()) {
      expect(matrix.reduce((sum, row) => sum + dot(row, vector) ** 2, 0)).toBeCloseTo(values[i] ** 2, 10);
    }
    for (const row of matrix) {
      const again = row.map((_, c) => right.reduce((sum, vector) => sum + dot(row, vector) * vector[c], 0));
      near(again, row, 10);
    }
  });
  test("a matrix of lower rank", () => {
    const [a, b] = randomRows(2, 8);
    const rows = [a, b, a.map((value, c) => value + b[c]), a.map((value) => -2 * value)];
    const { values } = singularValues(rows);
    expect(values[1]).toBeGreaterThan(0.1);
    expect(values[2]).toBeLessThan(1e-12);
    expect(() => principalComponents(rows, 3)).toThrow(code("INVALID_OPTION"));
  });
  test("what power iteration on the covariance finds", () => {
    const vectors = randomRows(20, 6).map((row) => row.map((value, c) => value * (c === 2 ? 4 : 1)));
    const { mean, components, variances, shares } = principalComponents(vectors, 2);
    const centred = vectors.map((row) => row.map((value, c) => value - mean[c]));
    const covariance = Array.from({ length: 6 }, (_, i) =>
      Float64Array.from({ length: 6 }, (_, j) => centred.reduce((sum, row) => sum + row[i] * row[j], 0) / 19),
    );
    let vector = Float64Array.from({ length: 6 }, () => 1);
    for (let step = 0; step < 500; step++) {
      const next = Float64Array.from(covariance, (row) => dot(row, vector));
      vector = next.map((value) => value / Math.hypot(...next));
    }
    expect(Math.abs(dot(vector, components[0]))).toBeCloseTo(1, 10);
    expect(
      dot(
        vector,
        Float64Array.from(covariance, (row) => dot(row, vector)),
      ),
    ).toBeCloseTo(variances[0], 10);
    expect(shares[0]).toBeCloseTo(variances[0] / covariance.reduce((sum, row, i) => sum + row[i], 0), 12);
  });
});

describe("Ward's clusters", () => {
  /** By the definition: the merge that adds least to the squares around the means. */
  function plain(points: readonly Float64Array[], clusters: number): Int32Array {
    const groups = points.map((_, i) => [i]);
    const squares = (group: readonly number[]) => {
      const mean = points[0].map((_, c) => group.reduce((sum, i) => sum + points[i][c], 0) / group.length);
      return group.reduce((sum, i) => sum + points[i].reduce((s, value, c) => s + (value - mean[c]) ** 2, 0), 0);
    };
    while (groups.length > clusters) {
      const pairs = groups.flatMap((a, i) => groups.slice(i + 1).map((b) => ({ a, b })));
      const cost = ({ a, b }: (typeof pairs)[number]) => squares([...a, ...b]) - squares(a) - squares(b);
      const { a, b } = pairs.reduce((best, pair) => (cost(pair) < cost(best) ? pair : best));
      a.push(...b);
      groups.splice(groups.indexOf(b), 1);
    }
    return Int32Array.from(points, (_, i) => groups.findIndex((group) => group.includes(i)));
  }
  test.each([2, 3, 5])("%i clusters are those of the definition", (clusters) => {
    for (let round = 0; round < 5; round++) {
      const points = randomRows(14, 3);
      expect(wardClusters(points, clusters)).toEqual(plain(points, clusters));
    }
  });
  test("one point, and as many clusters as points", () => {
    expect(wardClusters([[1]], 2)).toEqual(Int32Array.of(0));
    expect(wardClusters([[1], [5], [1.1]], 3)).toEqual(Int32Array.of(0, 1, 2));
  });
});

test("the sign of an eigenvector means nothing after orientation", () => {
  const points = [-3, -2.5, -2.8, 2, 2.2].map((first) => [first, normal()]);
  const flipped = points.map(([first, second]) => [-first, second]);
  for (const anchor of points.keys()) {
    expect(signAwayFrom(anchor, flipped)).toBe(-signAwayFrom(anchor, points));
    expect(signAwayFrom(anchor, points)).toBe(anchor < 3 ? 1 : -1);
  }
});

describe("an axis", () => {
  const encoder = fakeEncoder();
  const axis = fitDirection(encoder, moralDirection);

  test("separates its seeds, with the ends where they belong and the named phrase at 1 or -1", () => {
    const seeds = [...moral.high, ...moral.low];
    expect(
      rocAuc(
        seeds.map((_, i) => Number(i < moral.high.length)),
        axis.score(seeds),
      ),
    ).toBe(1);
    expect(axis.score("kill people")).toBeCloseTo(-1, 6);
    expect(axis.score("smile to people")).toBeGreaterThan(0.5);
    const other = fitDirection(encoder, { ...moralDirection, normaliseTo: "smile at people" });
    expect(other.score("smile at people")).toBeCloseTo(1, 6);
    const without = fitDirection(encoder, { ...moralDirection, normaliseTo: undefined });
    expect(Math.max(...without.score(moral.phrases).map(Math.abs))).toBeCloseTo(1, 6);
    expect(fitDirection(encoder, { ...moralDirection, orientBy: "smile" }).score("kill people")).toBeCloseTo(1, 6);
  });

  test("scores of the seeds have the mean 0 and the first component's variance", () => {
    const scores = axis.score(moral.phrases);
    const mean = scores.reduce((sum, value) => sum + value, 0) / scores.length;
    expect(mean).toBeCloseTo(0, 6);
    const vectors = moral.phrases.map((phrase) =>
      (moralDirection.templates ?? [])
        .map((template) => vectorOf(template.replace("{}", phrase)).map(Math.fround))
        .reduce(
          (sum, vector) => sum.map((value, c) => value + vector[c] / 10),
          new Float64Array(width) as Float64Array,
        ),
    );
    const { variances, components } = principalComponents(vectors, 5);
    const variance = scores.reduce((sum, value) => sum + (value * axis.norm) ** 2, 0) / (scores.length - 1);
    expect(variance).toBeCloseTo(variances[0], 8);
    expect(Math.abs(dot(components[0], axis.direction))).toBeCloseTo(1, 10);
    expect(axis.explainedVariance).toHaveLength(5);
  });

  test("a constant added to all vectors changes no score", () => {
    const shift = randomRows(1, width)[0];
    const shifted = fitDirection(
      fakeEncoder((vector) => vector.map((value, c) => value + shift[c])),
      moralDirection,
    );
    near(shifted.score(phrases), axis.score(phrases));
  });

  test("nor does a rotation of the space, a mirrored one included", () => {
    const rotation = singularValues(randomRows(width, width)).right;
    for (const matrix of [rotation, [rotation[0].map((value) => -value), ...rotation.slice(1)]]) {
      const rotated = fitDirection(
        fakeEncoder((vector) => matrix.map((row) => dot(row, vector))),
        moralDirection,
      );
      near(rotated.score(phrases), axis.score(phrases));
    }
  });

  test("a batch scores as its phrases one by one, and templates are averaged", () => {
    near(
      axis.score(phrases),
      phrases.map((phrase) => axis.score(phrase)),
      12,
    );
    const questions = axis.templates.map((question) => axis.score("kill time", { form: "raw", question }));
    expect(axis.score("kill time")).toBeCloseTo(questions.reduce((sum, value) => sum + value, 0) / 10, 10);
    expect(axis.score("Should I kill time?", { form: "without-question" })).toBeCloseTo(
      axis.score("kill time", { form: "raw", question: "Should I {}?" }),
      12,
    );
    const own = axis.score(["a", "b"], { form: "raw", question: ["May I {}?", "Should I {}?"] });
    expect(own[1]).toBeCloseTo(axis.score("Should I b?", { form: "without-question" }), 12);
    expect(axis.score([])).toEqual(new Float64Array());
    expect(() => axis.score(["a", "b"], { form: "raw", question: ["May I {}?"] })).toThrow(code("INVALID_OPTION"));
  });

  test("equal sentences are embedded once", () => {
    const counting = fakeEncoder();
    createAxis(counting, axis).score(["kill", "kill", "smile"]);
    expect(counting.asked).toHaveLength(20);
  });

  test("what is refused", () => {
    expect(() => fitDirection(encoder, { ...moralDirection, orientBy: "fly" })).toThrow(code("AXIS_PHRASES"));
    expect(() => fitDirection(encoder, { ...moralDirection, components: 64 })).toThrow(code("INVALID_OPTION"));
    expect(() => fitDirection(encoder, { ...moralDirection, templates: ["Should I?"] })).toThrow(
      code("TEMPLATE_INVALID"),
    );
    expect(() => fitDirection(encoder, { phrases: ["a", "a"], components: 1, orientBy: "a" })).toThrow(
      code("AXIS_PHRASES"),
    );
    expect(() => axisPreset("none")).toThrow(code("AXIS_UNKNOWN"));
  });
});

test("the cosine baseline is the mean difference of two cosines", () => {
  const encoder = fakeEncoder();
  const cosine = (a: string, b: string) => {
    const [x, y] = [vectorOf(a), vectorOf(b)];
    return dot(x, y) / Math.hypot(...x) / Math.hypot(...y);
  };
  const wanted = phrases.map((phrase) => {
    const each = moralTemplates.map(({ question, no, yes }) => {
      const asked = question.replace("{}", phrase);
      return cosine(asked, yes) - cosine(asked, no);
    });
    return each.reduce((sum, value) => sum + value, 0) / 10;
  });
  near(answerBias(encoder, phrases, moralTemplates), wanted, 6);
});

describe("with a real encoder, on disk", () => {
  const model = join(fixtures, "embedders/encoder");
  const options = { phrases: ["a cat", "a dog", "the moon", "a star", "a ball"], components: 2, orientBy: "the moon" };

  test("raw vectors, whether the encoder scales them or not", () => {
    const embedder = loadEmbedder(model);
    expect(embedder.options.normalize).toBe(true);
    const lengths = (normalize?: boolean) => {
      const values = embedder.embed(["a cat"], { normalize }).toTypedArray() as Float32Array;
      return Math.hypot(...values);
    };
    expect(lengths()).toBeCloseTo(1, 5);
    expect(Math.abs(lengths(false) - 1)).toBeGreaterThan(0.01);
    const axis = fitDirection(embedder, options);
    expect(axis.score("the moon")).toBeLessThan(axis.score("a dog"));
    near(
      axis.score(options.phrases),
      options.phrases.map((phrase) => axis.score(phrase)),
    );
    embedder.dispose();
  });

  test("saved and loaded it scores the same, with its own encoder only", () => {
    const embedder = loadEmbedder(model);
    const axis = fitDirection(embedder, options);
    const path = join(folder, "axis.json");
    saveAxis(axis, path);
    const loaded = loadAxis(path, embedder);
    expect(loaded.score(phrases)).toEqual(axis.score(phrases));
    expect({ ...loaded, score: undefined }).toEqual({ ...axis, score: undefined });
    expect(() => loadAxis(path, fakeEncoder())).toThrow(code("AXIS_ENCODER"));
    const table = embedder.model.parameters.get("encoder.embeddings.word.weight")!;
    const before = table.toTypedArray().slice() as Float32Array;
    table.storage.backend.write(
      before.map((value, i) => value * (i % 2 ? 1 : -1)),
      table.pointer,
    );
    table.markWritten();
    expect(() => loadAxis(path, embedder)).toThrow(code("AXIS_ENCODER"));
    embedder.dispose();
  });

  test("files that hold no axis, and encoders that are not there", () => {
    const path = join(folder, "broken.json");
    for (const text of ["no JSON", "{}", '{"type":"axis","version":2}']) {
      writeFileSync(path, text);
      expect(() => loadAxis(path, fakeEncoder())).toThrow(code("AXIS_INVALID"));
    }
    expect(() => encoderFolderOf(path)).toThrow(code("AXIS_ENCODER"));
    expect(encoderFolderOf(join(model, "moral.json"))).toBe(model);
    expect(encoderFolderOf(path, "elsewhere")).toBe("elsewhere");
  });
});
