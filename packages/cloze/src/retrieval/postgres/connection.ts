// A connection to PostgreSQL, with errors for people.
import { ClozeError } from "../../errors.js";

/** What a query gives back. */
export interface Rows {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly rowCount: number | null;
}

export interface Connection {
  query(text: string, values?: readonly unknown[]): Promise<Rows>;
  /** Runs a body between BEGIN and COMMIT; an error takes everything back. */
  transaction<T>(body: (query: Connection["query"]) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const refused = (cause: unknown, url: string): ClozeError => {
  const { code, message } = cause as { code?: string; message: string };
  const unreachable = code === "ECONNREFUSED" || code === "ENOENT" || code === "ENOTFOUND" || code === "28P01";
  const missing = /extension "vector"|type "vector"/.test(message);
  if (missing) {
    return new ClozeError("POSTGRES_EXTENSION", "This PostgreSQL server has no pgvector", {
      expected: "the extension vector",
      received: message,
      remedy: "Install pgvector on the server (https://github.com/pgvector/pgvector), or index words only.",
      cause,
    });
  }
  return new ClozeError(
    unreachable ? "POSTGRES_CONNECTION" : code === "53100" ? "DISK_FULL" : "POSTGRES_QUERY",
    message,
    {
      ...(unreachable && {
        expected: "a server that answers",
        received: url.replace(/:[^:@/]*@/, ":…@"),
        remedy: "Check the address, the user and the password.",
      }),
      cause,
    },
  );
};

/** Connects. @throws POSTGRES_CONNECTION */
export async function connect(url: string): Promise<Connection> {
  const { default: pg } = await import("pg");
  const pool = new pg.Pool({ connectionString: url, max: 4 });
  // An idle connection that breaks says so when it is used next.
  pool.on("error", () => {});
  const guarded = async <T>(body: () => Promise<T>): Promise<T> => {
    try {
      return await body();
    } catch (error) {
      throw error instanceof ClozeError ? error : refused(error, url);
    }
  };
  try {
    await guarded(() => pool.query("SELECT 1"));
  } catch (error) {
    await pool.end();
    throw error;
  }
  return {
    query: (text, values = []) => guarded(() => pool.query(text, [...values])),
    transaction: (body) =>
      guarded(async () => {
        const client = await pool.connect();
        try {
          await client.query("BEGIN");
          const result = await body((text, values = []) => client.query(text, [...values]));
          await client.query("COMMIT");
          return result;
        } catch (error) {
          await client.query("ROLLBACK").catch(() => {});
          throw error;
        } finally {
          client.release();
        }
      }),
    close: () => pool.end(),
  };
}
