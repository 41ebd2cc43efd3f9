// Compaction: documents that can be found are written anew, without what was replaced or deleted.
import { type Manifest, nextSegment } from "./manifest.js";
import { type ActiveSegment, openByLog, type Segment, type SegmentSettings } from "./segment.js";

/**
 * Copies the documents of segments that can be found into new ones beside them, each on the disk and closed.
 *
 * @param segmentSize documents after which a segment is closed
 * @returns the manifest of an index that consists of the new segments; it is not written
 */
export function rewriteSegments(
  folder: string,
  segments: readonly Segment[],
  manifest: Manifest,
  settings: SegmentSettings,
  segmentSize: number,
): Manifest {
  const { codec } = settings;
  let next = manifest;
  const made: Manifest["segments"] = [];
  let target: ActiveSegment | undefined;
  const finish = () => {
    if (target === undefined) return;
    target.sync();
    target.seal();
    made.push({ name: target.name, bytes: target.bytes });
    target.close();
    target = undefined;
  };
  for (const segment of segments) {
    const rows = segment.vectorRows();
    const rowBytes = codec?.rowBytes ?? 0;
    for (let place = 0; place < segment.size; place++) {
      if (segment.dead[place] !== 0) continue;
      if (target === undefined) {
        const named = nextSegment(next);
        next = named.manifest;
        target = openByLog(folder, named.name, settings, true);
      }
      const { document, ...codes } = segment.read(place);
      target.put(document, { ...codes, vector: codec && rows.slice(place * rowBytes, (place + 1) * rowBytes) });
      if (target.size % 4096 === 0) target.sync();
      if (target.size >= segmentSize) finish();
    }
  }
  finish();
  return { ...next, segments: made };
}
