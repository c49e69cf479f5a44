import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalDigest, canonicalJson } from "./canonical.js";

test("the text depends on values, not on the order of keys", () => {
  assert.equal(
    canonicalJson({ b: 1n, a: [null, "x", { d: true, c: 0.1 }] }),
    '{"a":[null,"x",{"c":0.1,"d":true}],"b":"1"}',
  );
  assert.equal(canonicalDigest({ a: 1, b: 2 }), canonicalDigest({ b: 2, a: 1 }));
  assert.equal(canonicalJson({ a: undefined, b: 1 }), '{"b":1}');
});
