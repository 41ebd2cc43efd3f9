// Which end of a component is the high one: the sign of an eigenvector means nothing.
import { wardClusters } from "./ward.js";

/**
 * 1 or -1, by which the first coordinate is multiplied so that it grows away from an anchor: points make two clusters
 * (Ward), and the one that the anchor is not in gets a positive mean.
 *
 * @param anchor the place of a point that scores low
 * @param coordinates [points, components]
 */
export function signAwayFrom(anchor: number, coordinates: readonly ArrayLike<number>[]): 1 | -1 {
  const clusters = wardClusters(coordinates, 2);
  const others = coordinates.filter((_, i) => clusters[i] !== clusters[anchor]);
  return others.reduce((sum, point) => sum + point[0], 0) >= 0 ? 1 : -1;
}
