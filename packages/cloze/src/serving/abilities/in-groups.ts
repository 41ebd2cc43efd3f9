// Units of a batch that cannot all be computed alike.

/**
 * Computes those together that have the same key.
 *
 * @returns results in the order of the units
 */
export async function inGroups<Unit, Key, Result>(
  units: readonly Unit[],
  keyOf: (unit: Unit) => Key,
  compute: (group: readonly Unit[], key: Key) => Promise<readonly Result[]>,
): Promise<readonly Result[]> {
  const groups = new Map<Key, number[]>();
  units.forEach((unit, place) => {
    const key = keyOf(unit);
    const places = groups.get(key);
    if (places === undefined) groups.set(key, [place]);
    else places.push(place);
  });
  const results: Result[] = new Array(units.length);
  for (const [key, places] of groups) {
    const found = await compute(
      places.map((place) => units[place]),
      key,
    );
    places.forEach((place, row) => {
      results[place] = found[row];
    });
  }
  return results;
}
