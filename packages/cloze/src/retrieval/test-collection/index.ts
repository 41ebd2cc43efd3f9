// Documents, queries and judgements: how benchmarks of retrieval come.
export { readCandidateTexts } from "./candidate-texts.js";
export { type CollectionIndex, type CollectionIndexOptions, indexCollection } from "./collection-index.js";
export { readExpansions } from "./expansions.js";
export { type CollectionFiles, findCollection, qrelsFile, queriesFile, splitsOf } from "./files.js";
export { readJudgedQueries } from "./judged-queries.js";
export { type JudgementOptions, readJudgements } from "./judgements.js";
export { type Qrels, qrelsLines, readQrels } from "./qrels.js";
export { type CollectionDocument, expandedText, fullText, readDocuments, readQueries, withTrecIds } from "./texts.js";
