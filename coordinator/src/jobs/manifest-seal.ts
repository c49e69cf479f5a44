// A checksum of the manifest inside the manifest, so that damage to it is told from damage to weights.
import { createHash } from "node:crypto";
import { GraftError } from "@graft/proto";

const SEAL = /,\n {2}"sha256": "([0-9a-f]{64})"\n\}\n$/;
const END = "\n}\n";

/** Adds the sha256 of the given text as the last member. */
export function sealManifest(text: string): string {
  if (!text.endsWith(END)) {
    throw new GraftError("INTERNAL", { problem: "the manifest does not end as expected" });
  }
  return `${text.slice(0, -END.length)},\n  "sha256": "${sha256(text)}"${END}`;
}

/** Throws VERIFY_MISMATCH naming the manifest when its text is not the one that was sealed. */
export function checkSeal(text: string, path: string): void {
  const match = SEAL.exec(text);
  const actual = sha256(match === null ? text : text.slice(0, match.index) + END);
  if (match?.[1] === actual) return;
  const expected = match?.[1] ?? "a manifest with its sha256 at the end";
  throw new GraftError("VERIFY_MISMATCH", { path, what: "sha256", expected, actual });
}

export function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
