// Envelopes: what was sealed opens; anything else does not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32c, MESSAGE_BYTES_MAX, MESSAGES, openMessage, sealMessage } from "./envelope.js";
import { JobEvent, WorkerHeartbeat } from "./gen/graft/v1/control.js";
import { subjectToken } from "./subjects.js";

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

test("CRC-32C gives the published check values", () => {
  assert.equal(crc32c(ascii("123456789")), 0xe3069283);
  assert.equal(crc32c(ascii("1234"), ascii("56789")), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
});

const heartbeat = WorkerHeartbeat.create({ workerId: "w1", address: "10.0.0.1:7", threadCount: 4 });

test("a sealed message opens as itself", () => {
  const bytes = sealMessage(MESSAGES.heartbeat, heartbeat);
  assert.deepEqual(openMessage(MESSAGES.heartbeat, bytes), heartbeat);
});

test("no single flipped bit opens as another message", () => {
  const bytes = sealMessage(MESSAGES.heartbeat, heartbeat);
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const damaged = Uint8Array.from(bytes);
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const opened = openMessage(MESSAGES.heartbeat, damaged);
    if (opened !== undefined) assert.deepEqual(opened, heartbeat, `bit ${bit}`);
  }
});

test("no cut message opens", () => {
  const bytes = sealMessage(MESSAGES.heartbeat, heartbeat);
  for (let length = 0; length < bytes.length; length += 1) {
    assert.equal(openMessage(MESSAGES.heartbeat, bytes.subarray(0, length)), undefined);
  }
});

test("a message does not open as another kind", () => {
  assert.equal(openMessage(MESSAGES.claim, sealMessage(MESSAGES.heartbeat, heartbeat)), undefined);
});

test("a message above the limit does not open", () => {
  const json = "x".repeat(MESSAGE_BYTES_MAX);
  const bytes = sealMessage(MESSAGES.event, JobEvent.create({ json }));
  assert.equal(openMessage(MESSAGES.event, bytes), undefined);
});

const TOKENS: readonly (readonly [string, string])[] = [
  ["worker-1_A", "worker-1_A"],
  ["host.example:7", "host=2Eexample=3A7"],
  ["a=2E", "a=3D2E"],
  ["> * ü", "=3E=20=2A=20=C3=BC"],
];

for (const [identity, token] of TOKENS) {
  test(`${identity} is the token ${token}`, () => {
    assert.equal(subjectToken(identity), token);
  });
}
