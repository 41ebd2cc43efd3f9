/** A point of a training curve. */
export interface CurvePoint {
  readonly step: number;
  readonly value: number;
}

const escapeMarkup = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

/**
 * A training curve as an SVG picture: the raw values thin, their running mean bold.
 *
 * @example
 * writeFileSync("loss.svg", curveSvg("loss", points));
 */
export function curveSvg(title: string, points: readonly CurvePoint[], { width = 720, height = 320 } = {}): string {
  const margin = { left: 56, right: 16, top: 32, bottom: 32 };
  const finite = points.filter((point) => Number.isFinite(point.value));
  const maximumStep = Math.max(1, ...finite.map((point) => point.step));
  const values = finite.map((point) => point.value);
  const low = values.length > 0 ? Math.min(...values) : 0;
  const high = values.length > 0 && Math.max(...values) > low ? Math.max(...values) : low + 1;
  const x = (step: number) => margin.left + (step / maximumStep) * (width - margin.left - margin.right);
  const y = (value: number) => margin.top + ((high - value) / (high - low)) * (height - margin.top - margin.bottom);
  const path = (line: readonly CurvePoint[]) =>
    line.map((point, i) => `${i === 0 ? "M" : "L"}${x(point.step).toFixed(1)} ${y(point.value).toFixed(1)}`).join("");
  let mean = finite[0]?.value ?? 0;
  const smooth = finite.map((point) => {
    mean += (point.value - mean) * 0.1;
    return { step: point.step, value: mean };
  });
  const ticks = Array.from({ length: 5 }, (_, i) => low + ((high - low) * i) / 4);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">
<rect width="${width}" height="${height}" fill="#fff"/>
<text x="${margin.left}" y="20" font-size="14">${escapeMarkup(title)}</text>
${ticks
  .map(
    (tick) =>
      `<line x1="${margin.left}" x2="${width - margin.right}" y1="${y(tick).toFixed(1)}" y2="${y(tick).toFixed(1)}" stroke="#ddd"/>` +
      `<text x="${margin.left - 6}" y="${(y(tick) + 4).toFixed(1)}" text-anchor="end">${tick.toPrecision(3)}</text>`,
  )
  .join("\n")}
<text x="${margin.left}" y="${height - 10}">0</text>
<text x="${width - margin.right}" y="${height - 10}" text-anchor="end">step ${maximumStep}</text>
<path d="${path(finite)}" fill="none" stroke="#9ecae1" stroke-width="1"/>
<path d="${path(smooth)}" fill="none" stroke="#08519c" stroke-width="2"/>
</svg>
`;
}
