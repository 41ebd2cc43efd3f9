// One error type for the whole toolkit: an error a person can act on, with a stable `code` for programs.
export { ClozeError, type ClozeErrorDetails } from "@cloze/tensor";
