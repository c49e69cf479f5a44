import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { NativeError } from "./errors.js";
import { loadAddon } from "./load.js";

const failure = (path: string): NativeError => {
  try {
    loadAddon(path);
  } catch (error) {
    if (error instanceof NativeError) return error;
  }
  return assert.fail("expected a NativeError");
};

test("a missing addon names the path that was tried", () => {
  const error = failure("/no/such/graft.node");
  assert.equal(error.code, "NATIVE_MISSING");
  assert.equal(error.details.tried, "/no/such/graft.node (not there)");
});

test("a file that is not an addon is named with the loader's reason on one line", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "graft-load-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "graft.node");
  writeFileSync(path, "not a library");
  const tried = failure(path).details.tried ?? "";
  assert.match(tried, /graft\.node \(.+\)$/);
  assert.doesNotMatch(tried, /\n/);
});
