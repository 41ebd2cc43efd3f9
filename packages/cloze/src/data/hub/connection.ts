// Requests to the hub: address, token, proxies, what its answers mean, and patience.
import { setTimeout as wait } from "node:timers/promises";
import { ClozeError } from "../../errors.js";
import type { HubSettings } from "./settings.js";

/** Something that may work when it is tried again. */
export class TransientError extends Error {
  constructor(
    message: string,
    /** What the hub asked to wait, milliseconds. */
    readonly pause?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface HubConnection {
  readonly settings: HubSettings;
  /** One request, for @huggingface/hub too. Any answer but 2xx and 3xx is an error. */
  readonly fetch: typeof fetch;
  /** Tries until it works, is refused for good, or `attempts` in a row brought nothing; `advanced` says it did. */
  patiently<T>(what: string, attempt: (advanced: () => void) => Promise<T>, signal?: AbortSignal): Promise<T>;
  close(): Promise<void>;
}

/** fetch says only "fetch failed"; the reason is in its cause, or in the causes of that. */
function reason(error: unknown): { code: string; message: string } {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  const { code, message, errors } = inner as NodeJS.ErrnoException & { errors?: Error[] };
  return { code: code ?? "", message: message || errors?.[0]?.message || code || String(inner) };
}

/** Seconds or a date, as milliseconds from now. */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const seconds = Number(header);
  const pause = Number.isNaN(seconds) ? Date.parse(header) - Date.now() : seconds * 1000;
  return Number.isNaN(pause) ? undefined : Math.max(0, pause);
}

const tokenHelp =
  "Make a token at https://huggingface.co/settings/tokens and set it as HF_TOKEN (or run `hf auth login`).";

/** What an answer that is no success means. */
async function failure(response: Response, hasToken: boolean): Promise<Error> {
  const { status, headers, url } = response;
  const kind = headers.get("x-error-code") ?? "";
  const message = headers.get("x-error-message") ?? "";
  await response.body?.cancel().catch(() => {});
  const received = [`status ${status}`, kind, message].filter((text) => text !== "").join(", ");
  if (status === 429 || status === 408 || status >= 500) {
    return new TransientError(`${received} from ${new URL(url).host}`, retryAfter(headers.get("retry-after")));
  }
  if (status === 404 || status === 410 || kind === "RepoNotFound") {
    const what = { RevisionNotFound: "this revision", EntryNotFound: "this file" }[kind] ?? "this repository";
    return new ClozeError("HUB_NOT_FOUND", `The hub does not have ${what}: ${url.split("?")[0]}`, {
      received,
      remedy: `Check the spelling${kind === "RevisionNotFound" ? " of the revision" : ""}. ${hasToken ? "The token may lack access to it." : `If it is private: ${tokenHelp}`}`,
    });
  }
  if (kind === "GatedRepo" || status === 403) {
    return new ClozeError("HUB_UNAUTHORIZED", "The hub does not let you have this: it is gated or private", {
      received,
      remedy: `Accept its conditions on its page. ${hasToken ? "Check that HF_TOKEN may read it." : tokenHelp}`,
    });
  }
  if (status === 401) {
    return new ClozeError(
      "HUB_UNAUTHORIZED",
      "The hub wants to know who you are (it answers so to unknown names too)",
      {
        received,
        remedy: hasToken
          ? `Check the spelling, and HF_TOKEN: it may be wrong or expired. ${tokenHelp}`
          : `Check the spelling; if it is private or gated: ${tokenHelp}`,
      },
    );
  }
  return new ClozeError("HUB_NETWORK", `The hub refused ${url.split("?")[0]}`, { received });
}

/** Opens a connection. Proxies come from HTTP_PROXY, HTTPS_PROXY and NO_PROXY. */
export async function connectHub(settings: HubSettings): Promise<HubConnection> {
  // Node 20's own fetch knows no proxies. Both are loaded late: most commands never need the network.
  const { EnvHttpProxyAgent, fetch: fetchWith } = await import("undici");
  const { endpoint, token, patience } = settings;
  let origin: string;
  try {
    origin = new URL(endpoint).origin;
  } catch (cause) {
    throw new ClozeError("HUB_NETWORK", "The hub's address is no URL", {
      received: endpoint,
      remedy: "Check HF_ENDPOINT.",
      cause,
    });
  }
  const dispatcher = new EnvHttpProxyAgent({
    bodyTimeout: patience.silence,
    headersTimeout: patience.silence,
    connect: { timeout: patience.silence },
    // Plain http goes to the proxy as it is: many refuse tunnels to ports other than 443.
    proxyTunnel: false,
  });
  let reached = false;
  const networkError = (message: string, cause: unknown) =>
    new ClozeError("HUB_NETWORK", message, {
      received: cause instanceof TransientError ? cause.message : reason(cause).message,
      remedy:
        "Check the connection, HTTPS_PROXY and HF_ENDPOINT (and NODE_EXTRA_CA_CERTS behind a proxy that opens TLS). " +
        "The same command goes on from what is there.",
      cause,
    });
  const request: typeof fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    headers.set("user-agent", "cloze");
    // The token is for the hub alone, not for where it redirects to.
    if (token !== undefined && url.origin === origin) headers.set("authorization", `Bearer ${token}`);
    const response = (await fetchWith(url, {
      ...(init as object),
      headers: Object.fromEntries(headers),
      dispatcher,
    })) as unknown as Response;
    reached = true;
    if (response.status < 400) return response;
    throw await failure(response, token !== undefined);
  };
  return {
    settings,
    fetch: request,
    async patiently(what, attempt, signal) {
      for (let tried = 1; ; tried++) {
        try {
          return await attempt(() => {
            tried = 0;
          });
        } catch (error) {
          if (error instanceof ClozeError || signal?.aborted) throw error;
          // What the file system says is not the network's fault.
          const { syscall } = error as NodeJS.ErrnoException;
          if (syscall !== undefined && !(error instanceof TransientError)) throw error;
          // A wrong address, no network, or an untrusted certificate will not change in a second.
          const hopeless = !reached && !/^(ECONNRESET|EAI_AGAIN|EPIPE|ETIMEDOUT|UND_ERR_.*)$/.test(reason(error).code);
          const pause =
            (error instanceof TransientError ? error.pause : undefined) ?? patience.delay * 2 ** Math.max(0, tried - 1);
          if (hopeless || tried >= patience.attempts || pause > patience.longest) {
            const later = pause > patience.longest ? `; it asks to wait ${Math.round(pause / 1000)} s` : "";
            throw networkError(`${what} did not work${later}`, error);
          }
          await wait(pause, undefined, { signal });
        }
      }
    },
    async close() {
      await dispatcher.destroy();
    },
  };
}
