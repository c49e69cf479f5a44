import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraftError } from "@graft/proto";
import { checkSeal, sealManifest } from "./manifest-seal.js";

const TEXT = '{\n  "formatVersion": 1,\n  "ledger": []\n}\n';

describe("manifest seal", () => {
  const sealed = sealManifest(TEXT);

  it("keeps the text valid JSON and the same for the same manifest", () => {
    checkSeal(sealed, "m");
    assert.equal(JSON.parse(sealed).formatVersion, 1);
    assert.equal(sealManifest(TEXT), sealed);
  });

  it("breaks with any changed bit, cut or missing seal", () => {
    const mismatch = (error: unknown): boolean =>
      error instanceof GraftError && error.code === "VERIFY_MISMATCH";
    const bytes = Buffer.from(sealed, "latin1");
    for (let index = 0; index < bytes.length; index += 1) {
      const damaged = Buffer.from(bytes);
      damaged[index] = (damaged[index] as number) ^ 1;
      assert.throws(() => checkSeal(damaged.toString("latin1"), "m"), mismatch, `byte ${index}`);
    }
    assert.throws(() => checkSeal(TEXT, "m"), mismatch);
    assert.throws(() => checkSeal(sealed.slice(0, -1), "m"), mismatch);
  });
});
