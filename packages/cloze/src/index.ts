// The public surface of cloze, by folder.
export * from "./text/index.js";
