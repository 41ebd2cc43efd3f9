// `node scripts/index-crash.mjs [times]`: a process adds, replaces, removes and compacts; it is killed (SIGKILL) at a random
// moment, the index is opened, and every change that was acknowledged must be there, no document twice, its vector and the
// vectors of its tokens too. Then it goes on with the same folder, and after some times with a new one, so that the codec of
// tokens is learned again. Prints one JSON line; status 1 when anything was lost.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { maxSim } from "../packages/cloze/dist/retrieval/late-interaction/late-search.js";
import { openIndex } from "../packages/cloze/dist/retrieval/store/search-index.js";
import { readCodec } from "../packages/cloze/dist/retrieval/store/token-codec-file.js";

const vectors = { width: 4, storage: "float32", model: "toy", fingerprint: "toy" };
const tokens = { width: 8, bits: 8, model: "toy", fingerprint: "toy" };
/** Kills after which a new folder is begun. */
const killsOfFolder = 8;
const ids = 3000;
const textOf = (id, version) => `document ${id} version ${version} ${"word ".repeat(id % 40)}`;
const vectorOf = (id, version) => [id, version, 1, 0];
/** One to four tokens of length 1 that say the document and its version. */
const tokensOf = (id, version) =>
  Float32Array.from(
    Array.from({ length: 1 + (id % 4) }, (_, token) => version + 17 * token * (1 + (id % 50))).flatMap((angle) => [
      Math.cos(angle),
      Math.sin(angle),
      ...new Array(tokens.width - 2).fill(0),
    ]),
  );
let state = Number(process.env.CRASH_SEED ?? Date.now()) % 2147483647;
const random = (limit) => {
  state = (state * 48271) % 2147483647;
  return state % limit;
};

/** Changes without end; each is told before it begins and after it is acknowledged. */
function write(folder, firstVersion) {
  const tell = (line) => writeSync(1, `${JSON.stringify(line)}\n`);
  const index = openIndex(folder, { write: true, create: { vectors, tokens }, segmentSize: 400 });
  for (let version = firstVersion; ; version++) {
    const kind = random(10) === 0 ? "remove" : random(60) === 0 ? "compact" : "add";
    const touched = kind === "compact" ? [] : Array.from({ length: 1 + random(60) }, () => random(ids));
    tell({ begin: kind, version, ids: touched });
    if (kind === "add") {
      const documents = touched.map((id) => ({ id: String(id), text: textOf(id, version) }));
      index.add(documents, {
        vectors: Float32Array.from(touched.flatMap((id) => vectorOf(id, version))),
        tokens: touched.map((id) => tokensOf(id, version)),
      });
    } else if (kind === "remove") index.remove(touched.map(String));
    else index.compact();
    tell({ end: version });
  }
}

/** Runs the writer for a while and kills it. @returns what it told */
async function runAndKill(folder, firstVersion) {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "--write", folder, String(firstVersion)], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, CRASH_SEED: String(1 + random(2 ** 30)) },
  });
  const events = [];
  let timer;
  for await (const line of createInterface({ input: child.stdout })) {
    try {
      events.push(JSON.parse(line));
    } catch {
      // The last line may be cut.
    }
    timer ??= setTimeout(() => child.kill("SIGKILL"), random(250));
  }
  clearTimeout(timer);
  return events;
}

/** What each document may be: its versions (0: not there) after all that was acknowledged, and perhaps what was not. */
function applyEvents(known, events) {
  const open = new Map();
  for (const event of events) {
    if (event.begin !== undefined) open.set(event.version, event);
    const done = event.end === undefined ? undefined : open.get(event.end);
    if (done === undefined) continue;
    open.delete(event.end);
    if (done.begin === "compact") continue;
    for (const id of done.ids) known.set(id, new Set([done.begin === "add" ? done.version : 0]));
  }
  for (const { begin, version, ids: touched } of open.values()) {
    if (begin === "compact") continue;
    for (const id of touched) known.set(id, new Set([...(known.get(id) ?? [0]), begin === "add" ? version : 0]));
  }
}

function verify(folder, known) {
  const problems = [];
  const index = openIndex(folder);
  const found = new Map();
  for (const { id, text } of index.documents()) {
    if (found.has(id)) problems.push(`${id} twice`);
    found.set(id, Number(/version (\d+)/.exec(text)?.[1]));
  }
  for (let id = 0; id < ids; id++) {
    const version = found.get(String(id)) ?? 0;
    const may = known.get(id) ?? new Set([0]);
    if (!may.has(version)) problems.push(`${id} is of version ${version}, not ${[...may].join(" or ")}`);
    known.set(id, new Set([version]));
    if (version === 0) continue;
    // Its words and its vector say the same.
    if (index.get(String(id))?.text !== textOf(id, version)) problems.push(`${id} holds another text`);
  }
  const all = { depth: ids, exact: true };
  const codec = found.size > 0 ? readCodec(folder, tokens, index.settings.tokens.codec).codec : undefined;
  for (const id of [...found.keys()].slice(0, 20)) {
    const version = found.get(id);
    const [hits] = index.searchVectors(Float32Array.from([0, 0, 1, 0]), { depth: ids });
    if (hits.length !== found.size || new Set(hits.map((hit) => hit.id)).size !== found.size)
      problems.push(`${hits.length} vectors of ${found.size}`);
    const rows = tokensOf(Number(id), version);
    const [similar] = index.searchTokens([rows], all);
    const own = similar.find((hit) => hit.id === id);
    const score = maxSim(rows, codec.decode(codec.encode(rows)), tokens.width);
    if (!(Math.abs(own?.score - score) < 1e-5)) problems.push(`${id} has other tokens: ${own?.score}, not ${score}`);
    if (similar.length !== found.size || new Set(similar.map((hit) => hit.id)).size !== found.size)
      problems.push(`the tokens of ${similar.length} documents of ${found.size}`);
    const [best] = index.searchWords(String(version), { depth: ids }).filter((hit) => hit.id === id);
    if (best === undefined) problems.push(`${id} is not found by its version`);
  }
  // First batches are small here.
  const odd = index.warnings.list().filter(({ code }) => code !== "INDEX_CODEC_SMALL");
  problems.push(...odd.map(({ code, first }) => `${code} ${first}`));
  index.close();
  return { problems, documents: found.size };
}

if (process.argv[2] === "--write") write(process.argv[3], Number(process.argv[4]));
else {
  const times = Number(process.argv[2] ?? 200);
  const newFolder = () => mkdtempSync(join(tmpdir(), "cloze-crash-"));
  let folder = newFolder();
  const known = new Map();
  const problems = [];
  let [version, acknowledged, documents, inOthers] = [1, 0, 0, 0];
  for (let time = 0; time < times; time++) {
    if (time > 0 && time % killsOfFolder === 0) {
      rmSync(folder, { recursive: true, force: true });
      folder = newFolder();
      known.clear();
      inOthers += documents;
    }
    const events = await runAndKill(folder, version);
    applyEvents(known, events);
    acknowledged += events.filter((event) => event.end !== undefined).length;
    version = 1 + Math.max(version, ...events.map((event) => event.version ?? 0));
    const found = verify(folder, known);
    documents = found.documents;
    problems.push(...found.problems.map((problem) => `kill ${time + 1}: ${problem}`));
  }
  rmSync(folder, { recursive: true, force: true });
  console.log(
    JSON.stringify({ kills: times, acknowledged, documents: inOthers + documents, problems: problems.slice(0, 20) }),
  );
  process.exitCode = problems.length > 0 ? 1 : 0;
}
