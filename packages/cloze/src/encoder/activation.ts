// Activations as a configuration names them.
import type { ActivationName } from "@cloze/tensor";
import { z } from "zod";

const names = [
  "none",
  "gelu",
  "geluTanh",
  "relu",
  "silu",
  "tanh",
  "quickGelu",
] as const satisfies readonly ActivationName[];

/** Any activation that the kernels know. */
export const activationSchema = z.enum(names);
