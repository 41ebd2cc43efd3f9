// Convolutional encoders of images, and how they are pre-trained.
export { type ActiveMask, type ActiveMaskOptions, activeAt, drawActive, hiddenCells } from "./active-mask.js";
export { type AugmentOptions, augmentImages } from "./augment.js";
export { type Convnet, type ConvnetOptions, createConvnet } from "./convnet.js";
export { exportEncoder, loadConvnet } from "./convnet-folder.js";
export { denseFeatures, type FeatureMap, type Layout } from "./feature-map.js";
export {
  copyConvnet,
  type ImageClassifier,
  type TrainImageClassifierOptions,
  trainImageClassifier,
} from "./image-classifier.js";
export { imageVectors } from "./image-vectors.js";
export type { ConvnetConfig, ConvnetConfigInput } from "./nets/index.js";
export {
  type PretrainImagesOptions,
  type PretrainImagesResult,
  paintingLoss,
  pretrainImages,
} from "./pretrain-images.js";
export { type ProbeImagesOptions, probeImages } from "./probe-images.js";
export { type RecalibrateOptions, recalibrate } from "./recalibrate.js";
export { patchify, unpatchify } from "./spark/patches.js";
export { createSpark, type Spark, type SparkOptions, type SparkOutput } from "./spark/spark.js";
