// Flag values as users write them. Everything wrong is a FLAG error: flag first, then what was given,
// then what is allowed.
import { resolve } from "node:path";
import { GraftError, quoted } from "@graft/proto/errors";

const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ...["k", "m", "g", "t", "p"].flatMap((letter, index): [string, number][] => [
    [`${letter}b`, 1000 ** (index + 1)],
    [`${letter}ib`, 1024 ** (index + 1)],
  ]),
]);

function flagError(flag: string, problem: string): GraftError {
  return new GraftError("FLAG", { flag, problem });
}

/** "4GiB", "5GB", "1.5 GB", "1048576": bytes, at least 1. */
export function parseSize(flag: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const unit = UNIT_BYTES.get((match?.[2] ?? "?").toLowerCase());
  const bytes = Math.floor(Number(match?.[1]) * (unit ?? Number.NaN));
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw flagError(flag, `expected a size such as 4GiB, 5GB or 1048576, got ${quoted(text)}`);
}

const SEED_MAX = 2n ** 63n - 1n;

export function parseSeed(flag: string, text: string): bigint {
  const seed = /^\d{1,19}$/.test(text) ? BigInt(text) : -1n;
  if (seed >= 0n && seed <= SEED_MAX) return seed;
  throw flagError(flag, `expected a whole number in [0, ${SEED_MAX}], got ${quoted(text)}`);
}

const THREADS_MAX = 1024;

export function parseThreads(flag: string, text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= THREADS_MAX) return count;
  throw flagError(flag, `expected a whole number in [1, ${THREADS_MAX}], got ${quoted(text)}`);
}

/** "org/name=DIR", each reference once; directories become absolute. */
export function parseModels(
  flag: string,
  texts: readonly string[],
  workingDirectory: string,
): ReadonlyMap<string, string> {
  const models = new Map<string, string>();
  for (const text of texts) {
    const at = text.indexOf("=");
    const reference = text.slice(0, Math.max(0, at));
    const directory = text.slice(at + 1);
    if (reference === "" || directory === "") {
      throw flagError(flag, `expected org/name=DIR, got ${quoted(text)}`);
    }
    if (models.has(reference)) throw flagError(flag, `${quoted(reference)} is given twice`);
    models.set(reference, resolve(workingDirectory, directory));
  }
  return models;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** HOST:PORT or unix:PATH, each once. Plain connections to other machines must be asked for. */
export function parseAddresses(
  flag: string,
  texts: readonly string[],
  insecure: boolean,
): readonly string[] {
  for (const [index, text] of texts.entries()) {
    if (texts.indexOf(text) < index) throw flagError(flag, `${quoted(text)} is given twice`);
    if (/^unix:.+/.test(text)) continue;
    const [, host = "", port = "0"] = /^(\[[\da-fA-F:.]+\]|[\w.-]+):(\d{1,5})$/.exec(text) ?? [];
    if (host === "" || Number(port) < 1 || Number(port) > 65_535) {
      throw flagError(flag, `expected HOST:PORT or unix:PATH, got ${quoted(text)}`);
    }
    if (insecure || LOOPBACK.test(host)) continue;
    const problem =
      `${quoted(text)} is another machine, so it needs --tls-cert, --tls-key and --tls-ca ` +
      "(make them with: coordinator certs init DIR), or --insecure to go without any protection";
    throw flagError(flag, problem);
  }
  return texts;
}
