// Model directories for unit tests, written by hand: nothing of the product makes them.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { BUILT_ADDON_PATH } from "@graft/native";

/** For tests that need the addon: false, or the reason that the runner prints. */
export const SKIP_WITHOUT_ADDON: string | false = existsSync(BUILT_ADDON_PATH)
  ? false
  : `no ${BUILT_ADDON_PATH}; run: npm run setup`;

export const LFS_POINTER = [
  "version https://git-lfs.github.com/spec/v1",
  "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393",
  "size 12345",
  "",
].join("\n");

/** A folder that is removed when the test ends. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "graft-worker-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes files given by relative path, with their parent folders. */
export function writeTree(
  folder: string,
  files: Readonly<Record<string, string | Uint8Array>>,
): string {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  return folder;
}

/** A safetensors file of float32 vectors, one per name. */
export function floatFile(tensors: Readonly<Record<string, readonly number[]>>): Buffer {
  let end = 0;
  const entries = Object.entries(tensors).map(([name, values]) => {
    const begin = end;
    end += 4 * values.length;
    return [name, { dtype: "F32", shape: [values.length], data_offsets: [begin, end] }] as const;
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const data = Buffer.from(new Float32Array(Object.values(tensors).flat()).buffer);
  return Buffer.concat([length, header, data]);
}

export function indexText(weightMap: Readonly<Record<string, string>>): string {
  return JSON.stringify({ metadata: { total_size: 0 }, weight_map: weightMap });
}
