/**
 * Sines and cosines of places (arXiv 1706.03762), the sines of all frequencies first: sin(p w_i), cos(p w_i) with
 * w_i = 10000^(-i / (width / 2)). Of a grid, half of the width tells the row and half the column (as MAE has it, arXiv
 * 2111.06377); places go row by row. Their mean square is 1/2; numbers that are left over are 0.
 *
 * @param grid places, or rows and columns
 * @returns [places, width]
 */
export function sinusoids(grid: readonly number[], width: number): Float32Array {
  const places = grid.reduce((product, side) => product * side, 1);
  const share = Math.floor(width / grid.length / 2);
  const values = new Float32Array(places * width);
  for (let place = 0; place < places; place++) {
    let rest = place;
    // The last side runs fastest.
    for (let side = grid.length - 1; side >= 0; side--) {
      const at = rest % grid[side];
      rest = Math.floor(rest / grid[side]);
      for (let i = 0; i < share; i++) {
        const angle = at * 10000 ** (-i / share);
        values[place * width + 2 * side * share + i] = Math.sin(angle);
        values[place * width + (2 * side + 1) * share + i] = Math.cos(angle);
      }
    }
  }
  return values;
}
