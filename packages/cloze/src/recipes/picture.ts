// Pictures of results over seeds: bars with their deviation, curves with a band.
import { summarizeSeeds } from "../metrics/seed-summary.js";
import type { ArmMeasures, Picture } from "./recipe.js";

const width = 720;
const height = 320;
const margin = { left: 56, right: 16, top: 32, bottom: 44 };
const colours = ["#08519c", "#a63603", "#006d2c", "#54278f", "#636363", "#c51b8a", "#8c6d31", "#17becf"];
const escapeMarkup = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
const fixed = (value: number): string => value.toFixed(1);

interface Summary {
  readonly mean: number;
  readonly deviation: number;
}
function summary(values: readonly number[]): Summary {
  const { mean, standardDeviation } = summarizeSeeds(values);
  return { mean, deviation: Number.isNaN(standardDeviation) ? 0 : standardDeviation };
}

function frame(title: string, low: number, high: number, body: string): string {
  const y = (value: number) => margin.top + ((high - value) / (high - low)) * (height - margin.top - margin.bottom);
  const ticks = Array.from({ length: 5 }, (_, i) => low + ((high - low) * i) / 4);
  const grid = ticks.map(
    (tick) =>
      `<line x1="${margin.left}" x2="${width - margin.right}" y1="${fixed(y(tick))}" y2="${fixed(y(tick))}" stroke="#ddd"/>` +
      `<text x="${margin.left - 6}" y="${fixed(y(tick) + 4)}" text-anchor="end">${tick.toPrecision(3)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">
<title>${escapeMarkup(title)}</title>
<rect width="${width}" height="${height}" fill="#fff"/>
<text x="${margin.left}" y="20" font-size="14">${escapeMarkup(title)}</text>
${grid.join("\n")}
${body}
</svg>
`;
}

function bars(title: string, entries: readonly (readonly [string, Summary])[]): string {
  const tops = entries.map(([, { mean, deviation }]) => mean + deviation).filter(Number.isFinite);
  const bottoms = entries.map(([, { mean, deviation }]) => mean - deviation).filter(Number.isFinite);
  const low = Math.min(0, ...bottoms);
  const high = Math.max(...tops, low + 1e-9);
  const y = (value: number) => margin.top + ((high - value) / (high - low)) * (height - margin.top - margin.bottom);
  const step = (width - margin.left - margin.right) / Math.max(1, entries.length);
  const body = entries.map(([name, { mean, deviation }], i) => {
    const x = margin.left + i * step;
    const middle = fixed(x + step / 2);
    const value = Number.isFinite(mean) ? mean : 0;
    const top = Math.min(y(value), y(0));
    return (
      `<rect x="${fixed(x + step * 0.15)}" y="${fixed(top)}" width="${fixed(step * 0.7)}" height="${fixed(Math.abs(y(value) - y(0)))}" fill="${colours[i % colours.length]}"/>` +
      `<line x1="${middle}" x2="${middle}" y1="${fixed(y(value + deviation))}" y2="${fixed(y(value - deviation))}" stroke="#000"/>` +
      `<text x="${middle}" y="${fixed(Math.max(margin.top + 10, y(value + deviation) - 4))}" text-anchor="middle">${Number.isFinite(mean) ? mean.toPrecision(3) : "none"}</text>` +
      `<text x="${middle}" y="${height - 22 + (i % 2) * 13}" text-anchor="middle">${escapeMarkup(name)}</text>`
    );
  });
  return frame(title, low, high, body.join("\n"));
}

type SeedCurve = readonly (readonly [number, number])[];

function curves(title: string, label: string, entries: readonly (readonly [string, readonly SeedCurve[]])[]): string {
  const summed = entries.map(
    ([name, runs]) =>
      [
        name,
        (runs[0] ?? []).map(([x], i) => ({ x, ...summary(runs.map((run) => run[i]?.[1] ?? Number.NaN)) })),
      ] as const,
  );
  const points = summed.flatMap(([, line]) => line).filter(({ mean }) => Number.isFinite(mean));
  const low = Math.min(...points.map(({ mean, deviation }) => mean - deviation));
  const high = Math.max(...points.map(({ mean, deviation }) => mean + deviation), low + 1e-9);
  const lastX = Math.max(...points.map(({ x }) => x), 1e-9);
  const x = (value: number) => margin.left + (value / lastX) * (width - margin.left - margin.right);
  const y = (value: number) => margin.top + ((high - value) / (high - low)) * (height - margin.top - margin.bottom);
  const body = summed.map(([name, line], i) => {
    const colour = colours[i % colours.length];
    const known = line.filter(({ mean }) => Number.isFinite(mean));
    const upper = known.map((p) => `${fixed(x(p.x))},${fixed(y(p.mean + p.deviation))}`);
    const lower = known.map((p) => `${fixed(x(p.x))},${fixed(y(p.mean - p.deviation))}`).reverse();
    return (
      `<polygon points="${[...upper, ...lower].join(" ")}" fill="${colour}" opacity="0.15"/>` +
      `<polyline points="${known.map((p) => `${fixed(x(p.x))},${fixed(y(p.mean))}`).join(" ")}" fill="none" stroke="${colour}" stroke-width="2"/>` +
      `<text x="${width - margin.right - 4}" y="${margin.top + 14 + 14 * i}" fill="${colour}" text-anchor="end">${escapeMarkup(name)}</text>`
    );
  });
  const axis = `<text x="${margin.left}" y="${height - 22}">0</text><text x="${width - margin.right}" y="${height - 22}" text-anchor="end">${escapeMarkup(`${label} ${lastX.toPrecision(4)}`)}</text>`;
  return frame(title, low, high, [...body, axis].join("\n"));
}

/** A picture as SVG. */
export function drawPicture(picture: Picture, runs: readonly ArmMeasures[]): string {
  if (picture.kind === "bars") {
    return bars(
      picture.title,
      Object.entries(picture.bars).map(([name, value]) => [name, summary(runs.map((of) => value(of)))] as const),
    );
  }
  return curves(
    picture.title,
    picture.x,
    Object.entries(picture.curves).map(([name, points]) => [name, runs.map((of) => points(of))] as const),
  );
}
