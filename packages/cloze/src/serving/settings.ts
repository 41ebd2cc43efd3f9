// What a server can be told. Names and defaults are text-embeddings-inference's where it has the same setting.

export interface ServerSettings {
  /** Requests that are worked on or wait at the same time; more get 429. Default 512. */
  readonly maxConcurrentRequests: number;
  /** Milliseconds that a request may expect to wait before its turn; longer: 429. Default 5000. */
  readonly maxQueueTime: number;
  /**
   * Under lasting overload, how many times what it takes alone a usual request may take; those that would take longer get
   * 429. Above 1. Default 1.6.
   */
  readonly maxSlowdown: number;
  /** Tokens of a forward pass at most. Default 16384. */
  readonly maxBatchTokens: number;
  /** Sequences of a forward pass at most. Default: as many as fit. */
  readonly maxBatchRequests?: number;
  /** Inputs of a request at most (OpenAI's endpoint: 2,048; documents to rerank: 1,000). Default 32. */
  readonly maxClientBatchSize: number;
  /** Bytes of a body at most. Default 2,000,000. */
  readonly payloadLimit: number;
  /** Cut texts that are too long, and say so in a header, unless a request says otherwise. Default true. */
  readonly autoTruncate: boolean;
  /** Keys of which a request must carry one as `Authorization: Bearer …`. Default: none is asked for. */
  readonly apiKeys: readonly string[];
  /** Origins whose pages may call the server; `*`: any. Default: none. */
  readonly corsAllowOrigin: readonly string[];
  /** Milliseconds after which a request is given up (504). Default 60,000. */
  readonly requestTimeout: number;
  /** Milliseconds in which a client must have sent its request (408). Default 30,000. */
  readonly receiveTimeout: number;
  /** Milliseconds in which accepted requests are answered when the server is told to end. Default 30,000. */
  readonly graceTime: number;
  /** Also metrics under text-embeddings-inference's names. Default true. */
  readonly teiMetrics: boolean;
  /** A batch of one short text before the server calls itself ready. Default true. */
  readonly warmUp: boolean;
}

/** The settings where nothing is said. */
export const defaultSettings: ServerSettings = {
  maxConcurrentRequests: 512,
  maxQueueTime: 5000,
  maxSlowdown: 1.6,
  maxBatchTokens: 16384,
  maxClientBatchSize: 32,
  payloadLimit: 2_000_000,
  autoTruncate: true,
  apiKeys: [],
  corsAllowOrigin: [],
  requestTimeout: 60_000,
  receiveTimeout: 30_000,
  graceTime: 30_000,
  teiMetrics: true,
  warmUp: true,
};
