// One error type for the whole toolkit: an error a person can act on, with a stable `code` for programs.
// By its own path: what only reports errors, such as the help of commands, loads no tensors.
export { ClozeError, type ClozeErrorDetails } from "@cloze/tensor/errors";
