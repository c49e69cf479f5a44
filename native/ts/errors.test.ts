import assert from "node:assert/strict";
import { test } from "node:test";
import { NativeError, translated, translatedSync } from "./errors.js";

const fromAddon = (): Error =>
  Object.assign(new Error("x"), { code: "IO", details: { path: "/a", errno: 5 } });

test("an error of the addon keeps its code and gets its details as texts", async () => {
  const failed = await translated(() => Promise.reject(fromAddon())).catch((error) => error);
  assert.ok(failed instanceof NativeError);
  assert.equal(failed.code, "IO");
  assert.deepEqual(failed.details, { path: "/a", errno: "5" });
});

test("a call that throws at once is translated too", () => {
  const call = (): never => {
    throw fromAddon();
  };
  assert.throws(() => translatedSync(call), NativeError);
});

test("an error without details is a bug and passes unchanged", () => {
  const bug = Object.assign(new TypeError("no"), { code: "ERR_X" });
  assert.equal(NativeError.from(bug), bug);
});
