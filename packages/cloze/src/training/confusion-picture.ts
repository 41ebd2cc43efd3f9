/** How often each gold class (row) was predicted as each class (column). */
export interface Confusion {
  readonly names: readonly string[];
  readonly counts: readonly (readonly number[])[];
}

const escapeMarkup = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
const shorten = (name: string): string => (name.length > 18 ? `${name.slice(0, 17)}…` : name);

/**
 * A confusion matrix as an SVG picture: rows are the right classes, the darker a cell the larger its share of the row.
 *
 * @example
 * writeFileSync("confusion.svg", confusionSvg({ names: ["no", "yes"], counts: [[90, 10], [5, 95]] }));
 */
export function confusionSvg({ names, counts }: Confusion): string {
  const cell = names.length > 12 ? 28 : 52;
  const left = 140;
  const top = 140;
  const size = names.length * cell;
  const cells = counts.flatMap((row, i) => {
    const total = row.reduce((a, b) => a + b, 0);
    return row.map((count, j) => {
      const share = total === 0 ? 0 : count / total;
      const [x, y] = [left + j * cell, top + i * cell];
      const shade = Math.round(255 - 200 * share);
      const ink = share > 0.55 ? "#fff" : "#222";
      const number =
        count === 0
          ? ""
          : `<text x="${x + cell / 2}" y="${y + cell / 2 + 4}" fill="${ink}" text-anchor="middle">${count}</text>`;
      return `<rect x="${x}" y="${y}" width="${cell - 1}" height="${cell - 1}" fill="rgb(${shade},${shade + Math.round((255 - shade) / 3)},255)"/>${number}`;
    });
  });
  const labels = names.flatMap((name, i) => {
    const middle = i * cell + cell / 2;
    const text = escapeMarkup(shorten(name));
    return [
      `<text x="${left - 8}" y="${top + middle + 4}" text-anchor="end">${text}</text>`,
      `<text transform="translate(${left + middle + 4},${top - 8}) rotate(-60)">${text}</text>`,
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${left + size + 20}" height="${top + size + 40}" font-family="sans-serif" font-size="${names.length > 12 ? 10 : 12}" fill="#222">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...cells,
    ...labels,
    `<text x="${left}" y="${top + size + 24}">columns: predicted, rows: right</text>`,
    "</svg>",
    "",
  ].join("\n");
}
