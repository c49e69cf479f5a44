import assert from "node:assert/strict";
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { temporaryFolder } from "../test-models.js";
import { openPieceLog, readPieceLog } from "./piece-log.js";

const A = { start: 0, end: 10, digest: "a".repeat(32) };
const B = { start: 10, end: 30, digest: "b".repeat(32) };
const C = { start: 40, end: 41, digest: "c".repeat(32) };

async function writeLog(t: TestContext): Promise<string> {
  const path = join(temporaryFolder(t), "x.pieces");
  const { log, pieces } = await openPieceLog(path);
  assert.deepEqual(pieces, []);
  await Promise.all([log.added(A), log.added(B), log.added(C), log.removed([B])]);
  await log[Symbol.asyncDispose]();
  return path;
}

test("what came and did not go is there after opening again", async (t) => {
  const path = await writeLog(t);
  const { log, pieces, damagedLineCount } = await openPieceLog(path);
  await log[Symbol.asyncDispose]();
  assert.deepEqual(pieces, [A, C]);
  assert.equal(damagedLineCount, 0);
});

test("a log torn at any byte gives the pieces of its whole lines and goes on", async (t) => {
  const path = await writeLog(t);
  const whole = readFileSync(path);
  for (let length = 0; length <= whole.length; length += 1) {
    writeFileSync(path, whole.subarray(0, length));
    const lines = whole.subarray(0, length).toString().split("\n").length - 1;
    const want = [[], [A], [A, B], [A, B, C], [A, C]][lines] ?? [];
    const { log, pieces } = await openPieceLog(path);
    assert.deepEqual(pieces, want, `cut at ${length}`);
    await log.added({ ...B, start: 11 });
    await log[Symbol.asyncDispose]();
    const again = await readPieceLog(path);
    assert.deepEqual(again.pieces, [...want, { ...B, start: 11 }]);
    assert.equal(again.damagedLineCount, 0);
  }
});

test("a flipped bit anywhere costs the lines that it touches and nothing else", async (t) => {
  const path = await writeLog(t);
  const whole = readFileSync(path);
  const known = [A, B, C].map((piece) => JSON.stringify(piece));
  for (let bit = 0; bit < 8 * whole.length; bit += 1) {
    const flipped = Buffer.from(whole);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    writeFileSync(path, flipped);
    const { pieces, damagedLineCount } = await readPieceLog(path);
    assert.ok(damagedLineCount >= 1, `bit ${bit}`);
    for (const piece of pieces) assert.ok(known.includes(JSON.stringify(piece)), `bit ${bit}`);
    assert.ok(pieces.length >= 1, `bit ${bit}`);
  }
});

test("a log of mostly removed pieces is rewritten when it is opened", async (t) => {
  const path = await writeLog(t);
  const line = readFileSync(path, "utf8").split("\n")[0];
  appendFileSync(path, `${line}\n`.repeat(2000));
  const { log } = await openPieceLog(path);
  await log[Symbol.asyncDispose]();
  assert.equal(readFileSync(path, "utf8").split("\n").length, 3);
  truncateSync(path, 0);
  assert.deepEqual((await readPieceLog(path)).pieces, []);
});
