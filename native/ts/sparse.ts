// Ranges of sparse files, for a cache that keeps parts of large files at their own offsets.
import { translated } from "./errors.js";
import { nativeAddon } from "./load.js";

/**
 * A modification time that is not compared: the owner of the file writes other ranges of it while it
 * is read, and knows by digests that the bytes are right.
 */
export const ANY_TIME = -(2n ** 63n);

/** Writes when the bytes' XXH3-128 is `digest`; false, with nothing written, when it is not. */
export function writeRange(
  path: string,
  offsetBytes: bigint,
  data: Uint8Array,
  digest: string,
): Promise<boolean> {
  return translated(() => nativeAddon().rangeWrite(path, offsetBytes, data, digest));
}

/** XXH3-128 of a range, 32 hex digits; null when the file ends before it. */
export function digestRange(
  path: string,
  offsetBytes: bigint,
  lengthBytes: number,
): Promise<string | null> {
  return translated(() => nativeAddon().rangeDigest(path, offsetBytes, lengthBytes));
}

/** Turns a range into a hole; false where the file system has none. */
export function freeRange(
  path: string,
  offsetBytes: bigint,
  lengthBytes: number,
): Promise<boolean> {
  return translated(() => nativeAddon().rangeFree(path, offsetBytes, lengthBytes));
}
