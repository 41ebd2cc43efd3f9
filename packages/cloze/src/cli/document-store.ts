// Where an index is: a folder, or postgres://user@host/database?schema=name.
import { type DocumentStore, embeddedStore } from "../retrieval/document-store.js";
import { openPostgresStore } from "../retrieval/postgres/postgres-store.js";
import { type OpenIndexOptions, openIndex } from "../retrieval/store/search-index.js";

const isDatabase = (location: string): boolean => /^postgres(ql)?:\/\//.test(location);

/** Opens an index where it is. */
export async function openStore(
  location: string,
  options: Pick<OpenIndexOptions, "write" | "create" | "fingerprint"> = {},
): Promise<DocumentStore> {
  if (!isDatabase(location)) return embeddedStore(openIndex(location, options));
  const schema = /[?&]schema=([^&]*)/.exec(location)?.[1];
  const url = location.replace(/([?&])schema=[^&]*&?/, "$1").replace(/[?&]$/, "");
  return openPostgresStore(url, { schema, create: options.create, fingerprint: options.fingerprint });
}
