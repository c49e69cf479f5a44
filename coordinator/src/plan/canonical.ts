// One text per value: object keys sorted, bigint as a decimal string. Digests are taken over it, so
// neither the order of insertion nor the spelling of a number can change them.
import { createHash } from "node:crypto";

export function canonicalJson(value: unknown): string {
  if (typeof value === "bigint") return `"${value}"`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => compareText(a, b))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}

/** The first 32 hex digits of the sha256 of the canonical text. */
export function canonicalDigest(value: unknown): string {
  return sha256Hex(canonicalJson(value)).slice(0, 32);
}

export function sha256Hex(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Order by UTF-16 code units; never by locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
