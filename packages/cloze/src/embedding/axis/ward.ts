// Agglomerative clustering by Ward's criterion.

const squaredDistance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum;
};

/**
 * Clusters points from the bottom up: the two clusters are merged whose union adds least to the sum of squared distances
 * from the clusters' means (Ward 1963), until `clusters` are left. Distances are updated by Lance and Williams' formula.
 *
 * @param points [points, width]
 * @returns the cluster of each point, numbered by their first points. [points]
 * @example
 * wardClusters([[0], [0.1], [5]], 2); // Int32Array [0, 0, 1]
 */
export function wardClusters(points: readonly ArrayLike<number>[], clusters: number): Int32Array {
  const members = points.map((_, i) => [i]);
  const distances = points.map((a) => Float64Array.from(points, (b) => squaredDistance(a, b)));
  const alive = new Set(points.keys());
  while (alive.size > Math.max(1, clusters)) {
    let [first, second, least] = [-1, -1, Number.POSITIVE_INFINITY];
    for (const i of alive) {
      for (const j of alive) if (j > i && distances[i][j] < least) [first, second, least] = [i, j, distances[i][j]];
    }
    const [a, b] = [members[first].length, members[second].length];
    for (const k of alive) {
      if (k === first || k === second) continue;
      const c = members[k].length;
      const merged = ((a + c) * distances[first][k] + (b + c) * distances[second][k] - c * least) / (a + b + c);
      distances[first][k] = distances[k][first] = merged;
    }
    members[first].push(...members[second]);
    alive.delete(second);
  }
  const assignment = new Int32Array(points.length);
  [...alive].forEach((root, cluster) => {
    for (const point of members[root]) assignment[point] = cluster;
  });
  return assignment;
}
