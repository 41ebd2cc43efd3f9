// What the environment says about the hub, under the names that huggingface_hub gave it.
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** How long to be patient with a network, milliseconds. */
export interface HubPatience {
  /** Attempts without one new byte before giving up. Default 5. */
  attempts: number;
  /** Wait before the second attempt, doubled each time. Default 500. */
  delay: number;
  /** Silence that counts as a broken connection. Default 30 000. */
  silence: number;
  /** Longest wait that the hub may ask for (Retry-After). Default 60 000. */
  longest: number;
}

export interface HubOptions {
  /** The hub's address. Default HF_ENDPOINT, else https://huggingface.co. */
  endpoint?: string;
  /** Default HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub. */
  cacheFolder?: string;
  /** Never use the network. Default: whether HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set. */
  offline?: boolean;
  /** Access token. Default HF_TOKEN, else what `hf auth login` saved. */
  token?: string;
  patience?: Partial<HubPatience>;
}

export interface HubSettings {
  readonly endpoint: string;
  readonly cacheFolder: string;
  readonly offline: boolean;
  readonly token: string | undefined;
  readonly patience: HubPatience;
}

const isTrue = (value: string | undefined): boolean => /^(1|on|yes|true)$/i.test(value ?? "");

const expandHome = (path: string): string => path.replace(/^~(?=$|[/\\])/, () => homedir());

function savedToken(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim() || undefined;
  } catch {
    // Most people have none.
    return undefined;
  }
}

/** Options, filled up from the environment. Empty variables count as unset. */
export function hubSettings(options: HubOptions = {}, environment: NodeJS.ProcessEnv = process.env): HubSettings {
  const value = (...names: string[]) => names.map((name) => environment[name]?.trim()).find(Boolean);
  const home = expandHome(
    value("HF_HOME") ?? join(value("XDG_CACHE_HOME") ?? join(homedir(), ".cache"), "huggingface"),
  );
  return {
    endpoint: (options.endpoint ?? value("HF_ENDPOINT") ?? "https://huggingface.co").replace(/\/+$/, ""),
    // @huggingface/hub knows these too, but loading a cached model should not load that package.
    cacheFolder: options.cacheFolder ?? expandHome(value("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE") ?? join(home, "hub")),
    offline: options.offline ?? (isTrue(value("HF_HUB_OFFLINE")) || isTrue(value("TRANSFORMERS_OFFLINE"))),
    token:
      options.token ??
      value("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") ??
      savedToken(expandHome(value("HF_TOKEN_PATH") ?? join(home, "token"))),
    patience: { attempts: 5, delay: 500, silence: 30_000, longest: 60_000, ...options.patience },
  };
}
