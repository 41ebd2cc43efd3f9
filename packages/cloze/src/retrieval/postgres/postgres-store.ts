// The same documents, words and vectors in PostgreSQL with pgvector: for more than one machine, or more than one writer.
// Words are split, stemmed and weighed as in the embedded index, so that scores are the same.
import { createWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";
import type { DocumentStore } from "../document-store.js";
import { termPairs } from "../learned-sparse/term-weights.js";
import { createAnalyzer } from "../lexical/analyzer.js";
import { countTerms } from "../lexical/bm25-formula.js";
import {
  decodeBody,
  encodeBody,
  fieldTerms,
  type IndexedDocument,
  searchedText,
  type TermCodes,
} from "../store/document.js";
import { fillSettings, type IndexSettings } from "../store/index-settings.js";
import { checkFingerprint } from "../store/model-fingerprint.js";
import { noTokens } from "../store/token-search.js";
import { checkKind, encodeWeights, noWeights, weightStep } from "../store/weight-search.js";
import { type Connection, connect } from "./connection.js";
import { filterSql, storedTerm } from "./filter-sql.js";

export interface PostgresOptions {
  /** Schema of the index; one database holds as many as one likes. Default "cloze". */
  schema?: string;
  /** Make the index with these settings where there is none. */
  create?: IndexSettings;
  /** The fingerprint of the model at hand: another one than the index's is refused. */
  fingerprint?: string;
  /** Make an HNSW index of the vectors: faster, and not exact. Only when the index is made. */
  approximate?: boolean;
}

const formatVersion = 1;
const tokensInFolders = "Token vectors lie in folders alone: index the documents there (--out folder).";
type Settings = DocumentStore["settings"];

function schemaName(name: string): string {
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(name)) return name;
  throw new ClozeError("POSTGRES_SCHEMA", "This is no name for a schema", {
    expected: "small letters, digits and _, up to 63",
    received: name,
  });
}

async function readSettings(db: Connection, schema: string): Promise<Settings | undefined> {
  const { rows } = await db.query("SELECT to_regclass($1) AS found", [`${schema}.settings`]);
  if (rows[0].found === null) return undefined;
  const stored = (await db.query(`SELECT value FROM ${schema}.settings`)).rows[0]?.value as
    | (Settings & { version: number })
    | undefined;
  if (stored === undefined) return undefined;
  const { version, ...settings } = stored;
  if (version === formatVersion) return settings;
  throw new ClozeError("INDEX_VERSION", `The schema ${schema} was written by another version of Cloze`, {
    expected: `version ${formatVersion}`,
    received: String(version),
    remedy: "Index the documents again with this version.",
  });
}

/** What the terms of learned weights are. */
const termType = (weights: Settings["weights"]): "text" | "int" => (weights?.terms === "words" ? "text" : "int");

async function createTables(db: Connection, schema: string, settings: Settings, approximate: boolean): Promise<void> {
  const { vectors, weights } = settings;
  await db.transaction(async (query) => {
    if (vectors !== undefined) await query("CREATE EXTENSION IF NOT EXISTS vector");
    await query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
    await query(`CREATE TABLE ${schema}.settings (value jsonb NOT NULL)`);
    await query(
      `CREATE TABLE ${schema}.documents (
        number bigserial PRIMARY KEY, id text NOT NULL UNIQUE, body text NOT NULL, length int NOT NULL, terms text[] NOT NULL
        ${vectors === undefined ? "" : `, embedding vector(${vectors.width}) NOT NULL`})`,
    );
    await query(
      `CREATE TABLE ${schema}.postings (
        term text NOT NULL, document bigint NOT NULL REFERENCES ${schema}.documents ON DELETE CASCADE, count int NOT NULL,
        PRIMARY KEY (term, document))`,
    );
    await query(`CREATE INDEX ON ${schema}.postings (document)`);
    if (weights !== undefined) {
      await query(
        `CREATE TABLE ${schema}.weights (
          term ${termType(weights)} NOT NULL, document bigint NOT NULL REFERENCES ${schema}.documents ON DELETE CASCADE, code int NOT NULL,
          PRIMARY KEY (term, document))`,
      );
      await query(`CREATE INDEX ON ${schema}.weights (document)`);
    }
    await query(`CREATE INDEX ON ${schema}.documents USING gin (terms)`);
    if (vectors !== undefined && approximate)
      await query(`CREATE INDEX ON ${schema}.documents USING hnsw (embedding vector_ip_ops)`);
    await query(`INSERT INTO ${schema}.settings VALUES ($1)`, [
      JSON.stringify({ ...settings, version: formatVersion }),
    ]);
  });
}

const vectorText = (row: Float32Array): string => `[${row.join(",")}]`;

/** Texts that PostgreSQL cannot hold as they are: NUL. */
const storedId = (id: string): string => {
  if (!id.includes("\0")) return id;
  throw new ClozeError("INDEX_ID", "An id holds NUL, which PostgreSQL cannot keep", { received: JSON.stringify(id) });
};

/**
 * Opens an index in a database, or makes one. Vectors are kept as float32.
 *
 * @param url `postgres://user:password@host/database`
 * @throws POSTGRES_CONNECTION, POSTGRES_EXTENSION, POSTGRES_SCHEMA, INDEX_MISSING, INDEX_VERSION, INDEX_MODEL; INDEX_STORAGE
 * where an index of token vectors is to be made
 * @example
 * const store = await openPostgresStore("postgres://localhost/search", { create: {} });
 * await store.add([{ id: "1", text: "a small cat" }]);
 */
export async function openPostgresStore(url: string, options: PostgresOptions = {}): Promise<DocumentStore> {
  const schema = schemaName(options.schema ?? "cloze");
  const db = await connect(url);
  try {
    return storeOf(db, schema, await settingsOf(db, schema, url, options));
  } catch (error) {
    await db.close();
    throw error;
  }
}

async function settingsOf(db: Connection, schema: string, url: string, options: PostgresOptions): Promise<Settings> {
  let settings = await readSettings(db, schema);
  const { create, fingerprint } = options;
  if (settings === undefined && create === undefined) {
    throw new ClozeError("INDEX_MISSING", `There is no index in the schema ${schema}`, {
      expected: "one that cloze index has made",
      received: url.replace(/:[^:@/]*@/, ":…@"),
      remedy: "Check the address, or make one: cloze index corpus.jsonl --out postgres://…",
    });
  }
  if (settings === undefined && create !== undefined) {
    const { vectors, tokens } = create;
    if (tokens !== undefined) {
      throw new ClozeError("INDEX_STORAGE", "PostgreSQL keeps no token vectors", {
        expected: "an embedder, or an encoder of weighted terms",
        received: `an encoder of tokens, ${tokens.model}`,
        remedy: tokensInFolders,
      });
    }
    settings = fillSettings({ ...create, vectors: vectors && { ...vectors, storage: "float32" } });
    await createTables(db, schema, settings, options.approximate ?? false);
  }
  const known = settings as Settings;
  checkFingerprint(`The schema ${schema}`, [known.vectors, known.weights], fingerprint);
  return known;
}

function storeOf(db: Connection, schema: string, settings: Settings): DocumentStore {
  const { vectors, weights, bm25 } = settings;
  const analyze = createAnalyzer(settings.analyzer);
  const termKind = weights?.terms ?? "numbers";
  const warnings = createWarnings();

  const checkRows = (documents: readonly IndexedDocument[], rows: Float32Array | undefined) => {
    if (vectors === undefined) return;
    if (rows === undefined || rows.length !== documents.length * vectors.width) {
      throw new ClozeError("INDEX_WIDTH", "The vectors do not fit the index", {
        expected: `${documents.length} vectors of ${vectors.width} numbers`,
        received: rows === undefined ? "none" : `${rows.length} numbers`,
        remedy: "Embed with the model that the index was made with.",
      });
    }
    const bad = rows.findIndex((value) => !Number.isFinite(value));
    if (bad < 0) return;
    throw new ClozeError(
      "INDEX_VECTOR",
      `The vector of ${documents[Math.floor(bad / vectors.width)].id} holds a number that is not finite`,
      {
        expected: "finite numbers",
        received: String(rows[bad]),
        remedy: "Leave the document out, or check the model.",
      },
    );
  };

  return {
    settings,
    warnings: () => warnings.list(),
    async size() {
      return Number((await db.query(`SELECT count(*) AS size FROM ${schema}.documents`)).rows[0].size);
    },
    async has(ids) {
      const { rows } = await db.query(`SELECT id FROM ${schema}.documents WHERE id = ANY($1)`, [ids]);
      return new Set(rows.map(({ id }) => id as string));
    },
    async get(ids) {
      const { rows } = await db.query(`SELECT id, body FROM ${schema}.documents WHERE id = ANY($1)`, [ids]);
      const found = new Map(rows.map(({ id, body }) => [id as string, body as string]));
      return ids.map((id) => {
        const body = found.get(id);
        return body === undefined ? undefined : decodeBody(id, Buffer.from(body)).document;
      });
    },
    async add(documents, encoded = {}) {
      const { vectors: rows } = encoded;
      checkRows(documents, rows);
      const codes = weights === undefined ? undefined : encodeWeights(documents, encoded.weights, warnings, termKind);
      // The last of those with the same id.
      const places = new Map(documents.map(({ id }, i) => [storedId(id), i]));
      const kept = [...places.values()].map((place) => ({ place, document: documents[place] }));
      const counts = kept.map(({ document }) => countTerms(analyze(searchedText(document))));
      for (const { document } of kept)
        if (searchedText(document).trim() === "")
          warnings.add("INDEX_TEXT_EMPTY", "documents without a text", document.id);
      await db.transaction(async (query) => {
        await query(`DELETE FROM ${schema}.documents WHERE id = ANY($1)`, [[...places.keys()]]);
        const width = vectors?.width ?? 0;
        const values = [
          kept.map(({ document }) => document.id),
          kept.map(({ document }) => encodeBody(document).toString("utf8")),
          counts.map((count) => [...count.values()].reduce((sum, one) => sum + one, 0)),
          // Arrays of arrays must be rectangles in PostgreSQL: lists travel as JSON.
          kept.map(({ document }) => JSON.stringify(fieldTerms(document.fields).map(storedTerm))),
          ...(rows === undefined || vectors === undefined
            ? []
            : [kept.map(({ place }) => vectorText(rows.subarray(place * width, (place + 1) * width)))]),
        ];
        const columns = ["id", "body", "length", "terms", ...(vectors === undefined ? [] : ["embedding"])];
        const picked = [
          "id",
          "body",
          "length",
          "ARRAY(SELECT jsonb_array_elements_text(terms::jsonb))",
          "embedding::vector",
        ];
        const types = ["text[]", "text[]", "int[]", "text[]", "text[]"];
        const lists = columns.map((_, i) => `$${i + 1}::${types[i]}`).join(", ");
        const inserted = await query(
          `INSERT INTO ${schema}.documents (${columns.join(", ")})
           SELECT ${picked.slice(0, columns.length).join(", ")} FROM unnest(${lists}) AS row(${columns.join(", ")})
           RETURNING id, number`,
          values,
        );
        const numbers = new Map(inserted.rows.map(({ id, number }) => [id as string, number as string]));
        const insertTerms = async (
          table: string,
          type: string,
          terms: readonly Iterable<readonly [unknown, number]>[],
        ) => {
          const lists: [unknown[], unknown[], number[]] = [[], [], []];
          for (const [i, { document }] of kept.entries()) {
            for (const [term, count] of terms[i]) {
              lists[0].push(term);
              lists[1].push(numbers.get(document.id));
              lists[2].push(Math.min(count, 0xffff));
            }
          }
          const list = `$1::${type}[], $2::bigint[], $3::int[]`;
          await query(`INSERT INTO ${schema}.${table} SELECT * FROM unnest(${list})`, lists);
        };
        await insertTerms("postings", "text", counts);
        if (codes === undefined) return;
        const codesOf = ([terms, values]: TermCodes) => terms.map((term, i) => [term, values[i]] as const);
        await insertTerms(
          "weights",
          termType(weights),
          kept.map(({ place }) => codesOf(codes[place])),
        );
      });
    },
    async remove(ids) {
      return (await db.query(`DELETE FROM ${schema}.documents WHERE id = ANY($1)`, [ids])).rowCount ?? 0;
    },
    terms: (text) => analyze(text),
    async frequencies(terms) {
      const { rows } = await db.query(
        `SELECT term, count(*) AS frequency FROM ${schema}.postings WHERE term = ANY($1::text[]) GROUP BY term`,
        [terms],
      );
      const counts = new Map(rows.map(({ term, frequency }) => [term as string, Number(frequency)]));
      return terms.map((term) => counts.get(term) ?? 0);
    },
    async searchWords(query, { depth, filter }) {
      const terms = typeof query === "string" ? countTerms(analyze(query)) : query;
      if (terms.size === 0) return [];
      const values: unknown[] = [[...terms.keys()], [...terms.values()], bm25.k1, bm25.b, depth];
      const { rows } = await db.query(
        `WITH query AS (SELECT * FROM unnest($1::text[], $2::float8[]) AS q(term, times)),
          collection AS (SELECT count(*)::float8 AS size, coalesce(avg(length), 0)::float8 AS mean FROM ${schema}.documents),
          weights AS (
            SELECT query.term, times * ($3::float8 + 1) * ln(1 + (size - f.frequency + 0.5) / (f.frequency + 0.5)) AS weight
            FROM query, collection,
            LATERAL (SELECT count(*)::float8 AS frequency FROM ${schema}.postings p WHERE p.term = query.term) AS f)
        SELECT d.id, sum(weight * p.count
          / (p.count + $3::float8 * (1 - $4::float8 + $4::float8 * d.length / greatest(mean, 1e-9)))) AS score
        FROM weights JOIN ${schema}.postings p USING (term) JOIN ${schema}.documents d ON d.number = p.document, collection
        WHERE ${filterSql(filter, values)}
        GROUP BY d.number, d.id ORDER BY score DESC, d.number LIMIT $5`,
        values,
      );
      return rows.map(({ id, score }) => ({ id: id as string, score: Number(score) }));
    },
    async searchVectors(queries, { depth, filter }) {
      if (vectors === undefined) {
        throw new ClozeError("INDEX_NO_VECTORS", `The schema ${schema} holds words only`, {
          remedy: "Search its words, or index the documents again with a model.",
        });
      }
      if (queries.length % vectors.width !== 0) {
        throw new ClozeError("INDEX_WIDTH", "A query is as long as the documents' vectors", {
          expected: `${vectors.width} numbers`,
          received: `${queries.length} numbers`,
          remedy: "Embed queries and documents with the same model.",
        });
      }
      const rankings = [];
      for (let at = 0; at < queries.length; at += vectors.width) {
        const values: unknown[] = [vectorText(queries.subarray(at, at + vectors.width)), depth];
        // pgvector's <#> is the inner product, negative.
        const { rows } = await db.query(
          `SELECT d.id, -(d.embedding <#> $1::vector) AS score FROM ${schema}.documents d
           WHERE ${filterSql(filter, values)} ORDER BY d.embedding <#> $1::vector LIMIT $2`,
          values,
        );
        rankings.push(rows.map(({ id, score }) => ({ id: id as string, score: Number(score) })));
      }
      return rankings;
    },
    async searchWeights(queries, { depth, filter }) {
      if (weights === undefined) throw noWeights(`The schema ${schema}`);
      const rankings = [];
      for (const query of queries) {
        checkKind(query, termKind);
        const pairs = termPairs(query);
        const values: unknown[] = [pairs.map(([term]) => term), pairs.map(([, weight]) => weight), weightStep, depth];
        const { rows } = await db.query(
          `SELECT d.id, sum(q.weight * w.code) * $3::float8 AS score
           FROM unnest($1::${termType(weights)}[], $2::float8[]) AS q(term, weight)
           JOIN ${schema}.weights w USING (term) JOIN ${schema}.documents d ON d.number = w.document
           WHERE ${filterSql(filter, values)}
           GROUP BY d.number, d.id HAVING sum(q.weight * w.code) > 0 ORDER BY score DESC, d.number LIMIT $4`,
          values,
        );
        rankings.push(rows.map(({ id, score }) => ({ id: id as string, score: Number(score) })));
      }
      return rankings;
    },
    async searchTokens() {
      throw noTokens(`The schema ${schema}`, tokensInFolders);
    },
    async compact() {
      if (weights !== undefined) await db.query(`VACUUM ANALYZE ${schema}.weights`);
      await db.query(`VACUUM ANALYZE ${schema}.documents`);
      await db.query(`VACUUM ANALYZE ${schema}.postings`);
    },
    close: () => db.close(),
  };
}
