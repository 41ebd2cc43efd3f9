// Models and datasets of the Hugging Face hub, and the cache they live in.
export { type HubId, parseHubId, type RepositoryType, readHubId } from "./hub-id.js";
export { type PullOptions, type PullProgress, pullModel } from "./pull.js";
export { resolveModelFolder } from "./resolve.js";
export { type HubOptions, hubSettings } from "./settings.js";
