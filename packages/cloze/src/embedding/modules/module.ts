// What may stand between the pooling and the finished vector.
import type { Tensor } from "@cloze/tensor";

/** One step of an embedder after its pooling, as sentence-transformers has them. */
export interface EmbedderModule {
  /** The class that sentence-transformers has for it: "Dense". */
  readonly type: string;
  /** Length of what it gives. */
  readonly width: number;
  /** By the names of its file: `linear.weight`. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** x: [texts, width before] -> [texts, width] */
  forward(x: Tensor): Tensor;
  /** What its config.json holds. */
  config(): Record<string, unknown>;
}

/** How a kind of module is read. */
export interface EmbedderModuleKind {
  readonly type: string;
  /** The path of its class, without the name of the package. */
  readonly path: string;
  /**
   * @param config what the module's config.json holds; {} where it has none
   * @param width length of the vectors that it takes
   * @param weight a tensor of the module's model.safetensors, handed over
   * @throws EMBEDDER_FILE
   */
  load(config: unknown, width: number, weight: (name: string) => Tensor): EmbedderModule;
}
