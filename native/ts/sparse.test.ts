import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { BUILT_ADDON_PATH } from "./load.js";
import { digestRange, freeRange, writeRange } from "./sparse.js";

const skip = existsSync(BUILT_ADDON_PATH) ? false : `no ${BUILT_ADDON_PATH}; run: npm run setup`;

/** XXH3-128 of the empty input, as the algorithm's own test vectors give it. */
const EMPTY_DIGEST = "99aa06d3014798d86001c324468d497f";

test("a range goes through the addon and back; wrong bytes are refused", { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "graft-native-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "cached");
  const bytes = Buffer.from("0123456789");
  writeFileSync(path, bytes);
  assert.equal(await digestRange(path, 3n, 0), EMPTY_DIGEST);
  const digest = await digestRange(path, 2n, 5);
  assert.ok(digest !== null);
  assert.equal(await writeRange(path, 7n, Buffer.from("xxxxx"), digest), false);
  assert.deepEqual(readFileSync(path), bytes);
  assert.equal(await writeRange(path, 7n, bytes.subarray(2, 7), digest), true);
  assert.equal(readFileSync(path, "utf8"), "012345623456");
  assert.equal(await digestRange(path, 8n, 5), null);
  if (await freeRange(path, 1n, 2)) {
    assert.equal(readFileSync(path, "utf8"), "0\u0000\u0000345623456");
  }
  await assert.rejects(writeRange(join(folder, "missing"), 0n, bytes.subarray(2, 7), digest));
});
