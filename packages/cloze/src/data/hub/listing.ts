import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { checkFileName } from "./cache.js";
import type { HubConnection } from "./connection.js";
import type { HubId, RepositoryType } from "./hub-id.js";

/** A file of a repository, with what its content must hash to. */
export interface HubFile {
  readonly path: string;
  readonly size: number;
  /** SHA-256 of the content for large files (LFS), git's blob hash for the others; the name of the blob in the cache. */
  readonly hash: string;
}

export interface HubListing {
  readonly commit: string;
  readonly files: readonly HubFile[];
}

const hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`));
const entrySchema = z.object({
  path: z.string(),
  size: z.number().int().nonnegative(),
  oid: hex(40),
  lfs: z.object({ oid: hex(64), size: z.number().int().nonnegative() }).optional(),
});

/**
 * The commit that a revision stands for, and all files of it.
 *
 * @throws HUB_NOT_FOUND, HUB_UNAUTHORIZED, HUB_NETWORK, HUB_UNSAFE_PATH
 */
export async function listRepository(
  connection: HubConnection,
  { name, revision = "main" }: HubId,
  type: RepositoryType,
): Promise<HubListing> {
  // @huggingface/hub (well kept, Node 18 and later, own fetch) lists. Its downloads neither verify nor resume, share one
  // .incomplete file between processes and report no progress, so download.ts does that.
  const { datasetInfo, listFiles, modelInfo } = await import("@huggingface/hub");
  const wrong = (received: string, cause?: unknown): never => {
    throw new ClozeError("HUB_NETWORK", `${connection.settings.endpoint} does not answer like a hub`, {
      received,
      remedy: "Check HF_ENDPOINT.",
      cause,
    });
  };
  return connection.patiently(`Asking the hub for ${name}`, async () => {
    const common = { hubUrl: connection.settings.endpoint, fetch: connection.fetch };
    const about = { ...common, name, revision, additionalFields: ["sha" as const] };
    try {
      const info: { sha?: unknown } = type === "model" ? await modelInfo(about) : await datasetInfo(about);
      const commit = hex(40).safeParse(info.sha);
      if (!commit.success) return wrong(`commit ${JSON.stringify(info.sha)}`);
      const files: HubFile[] = [];
      for await (const entry of listFiles({
        ...common,
        repo: { type, name },
        revision: commit.data,
        recursive: true,
      })) {
        if (entry.type !== "file") continue;
        checkFileName(entry.path);
        const parsed = entrySchema.safeParse(entry);
        if (!parsed.success) return wrong(`${entry.path}: ${z.prettifyError(parsed.error)}`);
        const { path, size, oid, lfs } = parsed.data;
        files.push({ path, size: lfs?.size ?? size, hash: lfs?.oid ?? oid });
      }
      return { commit: commit.data, files };
    } catch (error) {
      if (error instanceof SyntaxError) return wrong("no JSON", error);
      throw error;
    }
  });
}
