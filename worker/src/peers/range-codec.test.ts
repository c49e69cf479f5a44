import assert from "node:assert/strict";
import { test } from "node:test";
import { ReadRangeResponse } from "@graft/proto";
import { decodeRange, encodeRange } from "./range-codec.js";

const messages: readonly [string, ReadRangeResponse][] = [
  ["nothing", { offsetBytes: 0n, data: Buffer.alloc(0), digest: "" }],
  ["one byte", { offsetBytes: 1n, data: Buffer.from([7]), digest: "a".repeat(32) }],
  ["127 bytes", { offsetBytes: 127n, data: Buffer.alloc(127, 1), digest: "b".repeat(32) }],
  ["128 bytes", { offsetBytes: 128n, data: Buffer.alloc(128, 0x12), digest: "" }],
  ["3 MB far away", { offsetBytes: 1n << 50n, data: Buffer.alloc(3_000_000, 9), digest: "c" }],
];

for (const [name, message] of messages) {
  test(`${name}: both codecs read what both write`, () => {
    const generated = Buffer.from(ReadRangeResponse.encode(message).finish());
    for (const bytes of [generated, encodeRange(message)]) {
      for (const read of [ReadRangeResponse.decode(bytes), decodeRange(bytes)]) {
        assert.equal(read.offsetBytes, message.offsetBytes);
        assert.equal(read.digest, message.digest);
        assert.ok(Buffer.from(message.data).equals(read.data));
      }
    }
  });
}

test("a message cut anywhere is an error or lacks its data, never other data", () => {
  const message = { offsetBytes: 300n, data: Buffer.alloc(200, 5), digest: "d".repeat(32) };
  const whole = encodeRange(message);
  for (let length = 0; length < whole.length; length += 1) {
    let data: Uint8Array = Buffer.alloc(0);
    try {
      ({ data } = decodeRange(whole.subarray(0, length)));
    } catch {
      continue;
    }
    assert.equal(data.length, 0, `cut at ${length}`);
  }
});

test("a field that this version does not know is skipped", () => {
  const known = encodeRange({ offsetBytes: 5n, data: Buffer.from("abc"), digest: "e" });
  const unknown = Buffer.from([0x22, 2, 1, 2]);
  const { data, offsetBytes } = decodeRange(Buffer.concat([unknown, known, unknown]));
  assert.equal(Buffer.from(data).toString(), "abc");
  assert.equal(offsetBytes, 5n);
});
