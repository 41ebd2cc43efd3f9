// Keys that requests carry.
import { createHash, timingSafeEqual } from "node:crypto";
import { ServingError } from "../serving-error.js";

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/**
 * A check of the `Authorization` header. How long it takes tells nothing about the keys: digests are compared, all of
 * them, to the end.
 *
 * @param keys none: everybody may
 */
export function createAuthorization(keys: readonly string[]): (header: string | undefined) => void {
  const digests = keys.map(digest);
  return (header = "") => {
    if (digests.length === 0) return;
    const given = digest(/^Bearer\s+(.*)$/i.exec(header)?.[1] ?? "");
    const known = digests.map((one) => timingSafeEqual(one, given));
    if (header !== "" && known.includes(true)) return;
    throw new ServingError("unauthorized", "A valid key is needed: Authorization: Bearer <key>");
  };
}
