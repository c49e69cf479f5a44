import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { WeightFile } from "@graft/proto";
import { SKIP_WITHOUT_ADDON, temporaryFolder } from "../test-models.js";
import { cacheFileName } from "./identity.js";
import { PIECE_BYTES, type Range, totalBytes } from "./ranges.js";
import { type Lease, openShardCache, type ShardCache } from "./shard-cache.js";
import {
  type CountingPull,
  pullFromDisk,
  testBytes,
  testRandom,
  writeWeights,
} from "./test-weights.js";

const skip = SKIP_WITHOUT_ADDON;
const P = PIECE_BYTES;
const BYTES = testBytes(6 * P + 1000, 1);
const { signal } = new AbortController();

interface Setup {
  readonly folder: string;
  readonly directory: string;
  readonly file: WeightFile;
  /** Opens the cache, closed when the test ends or by the next call. */
  readonly start: (bytesMax?: number) => Promise<ShardCache>;
}

function setUp(t: TestContext): Setup {
  const folder = temporaryFolder(t);
  const directory = join(folder, "cache");
  let cache: ShardCache | undefined;
  const start = async (bytesMax = 100 * P): Promise<ShardCache> => {
    await cache?.[Symbol.asyncDispose]();
    cache = await openShardCache({ directory, bytesMax });
    return cache;
  };
  t.after(() => cache?.[Symbol.asyncDispose]());
  return { folder, directory, file: writeWeights(folder, "a.safetensors", BYTES), start };
}

function take(
  cache: ShardCache,
  file: WeightFile,
  ranges: readonly Range[],
  { pull }: CountingPull,
): Promise<Lease> {
  return cache.lease([{ file, ranges }], { pull, signal });
}

function readCached(lease: Lease, { start, end }: Range): Buffer {
  const path = lease.files[0]?.path ?? "";
  return readFileSync(path).subarray(start, end);
}

async function flipByte(path: string, at: number): Promise<void> {
  await using file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 4]), 0, 1, at);
}

test("exactly the missing bytes are pulled, at the original's offsets", { skip }, async (t) => {
  const { file, start } = setUp(t);
  const cache = await start();
  const pull = pullFromDisk();
  const first = { start: 100, end: P + 50 };
  const lease = await take(cache, file, [first], pull);
  assert.deepEqual(pull.asked, [
    { start: 100, end: P },
    { start: P, end: P + 50 },
  ]);
  assert.deepEqual(readCached(lease, first), BYTES.subarray(first.start, first.end));
  assert.equal(lease.files[0]?.sizeBytes, BigInt(BYTES.length));
  const wide = { start: 0, end: BYTES.length };
  (await take(cache, file, [wide], pull)).release();
  assert.equal(totalBytes(pull.asked), BYTES.length);
  assert.deepEqual(readCached(lease, wide), BYTES);
  assert.deepEqual(cache.missing({ file, ranges: [wide] }), []);
  const { wireBytes, cacheHitBytes } = cache.counters();
  assert.equal(wireBytes, BYTES.length);
  assert.equal(cacheHitBytes, first.end - first.start);
  lease.release();
});

test("two models with the same header, size and name are two files", { skip }, async (t) => {
  const { folder, file, start } = setUp(t);
  const cache = await start();
  const other = testBytes(BYTES.length, 2);
  writeFileSync(join(folder, "b"), other);
  const twin = { ...writeWeights(folder, "b", other), name: file.name };
  assert.equal(twin.headerDigest, file.headerDigest);
  const range = { start: 0, end: P };
  (await take(cache, file, [range], pullFromDisk())).release();
  const lease = await take(cache, twin, [range], pullFromDisk());
  assert.deepEqual(readCached(lease, range), other.subarray(0, P));
  const known = { ...file, source: { holders: [], contentDigest: `sha256:${"1".repeat(64)}` } };
  assert.equal(cacheFileName(known), cacheFileName({ ...known, path: "/elsewhere", inode: 5n }));
});

test("what was pulled before a restart is checked, used and not pulled again", {
  skip,
}, async (t) => {
  const { file, start } = setUp(t);
  const pull = pullFromDisk();
  const range = { start: 0, end: 3 * P };
  (await take(await start(), file, [range], pull)).release();
  const cache = await start();
  const lease = await take(cache, file, [range], pull);
  assert.equal(totalBytes(pull.asked), 3 * P);
  assert.deepEqual(readCached(lease, range), BYTES.subarray(0, 3 * P));
  assert.equal(cache.counters().wireBytes, 0);
  assert.equal(cache.counters().cacheHitBytes, 3 * P);
});

test("a bit that flipped on disk costs one piece, before and after a restart", {
  skip,
}, async (t) => {
  const { directory, file, start } = setUp(t);
  const path = join(directory, cacheFileName(file));
  const range = { start: 0, end: 3 * P };
  (await take(await start(), file, [range], pullFromDisk())).release();
  await flipByte(path, P + 77);
  const cache = await start();
  for (const [round, at] of [P + 77, 2 * P].entries()) {
    if (round > 0) await flipByte(path, at);
    const pull = pullFromDisk();
    const lease = await take(cache, file, [range], pull);
    const piece = Math.floor(at / P) * P;
    assert.deepEqual(pull.asked, [{ start: piece, end: piece + P }]);
    assert.deepEqual(readCached(lease, range), BYTES.subarray(0, 3 * P));
    assert.equal(cache.counters().wrongPieceCount, round + 1);
    lease.release();
  }
});

test("a log cut anywhere, bytes cut off or gone: only what is lost is pulled", {
  skip,
}, async (t) => {
  const { directory, file, start } = setUp(t);
  const path = join(directory, cacheFileName(file));
  const range = { start: 0, end: 4 * P };
  const damages: readonly [string, () => void, number][] = [
    ["log cut", () => truncateSync(`${path}.pieces`, statSync(`${path}.pieces`).size - 20), P],
    ["log emptied", () => truncateSync(`${path}.pieces`, 0), 4 * P],
    ["file cut", () => truncateSync(path, 2 * P + 5), 2 * P],
    ["never written", () => writeFileSync(path, Buffer.alloc(BYTES.length)), 4 * P],
  ];
  (await take(await start(), file, [range], pullFromDisk())).release();
  for (const [name, damage, lost] of damages) {
    await (await start())[Symbol.asyncDispose]();
    damage();
    const pull = pullFromDisk();
    const lease = await take(await start(), file, [range], pull);
    assert.equal(totalBytes(pull.asked), lost, name);
    assert.deepEqual(readCached(lease, range), BYTES.subarray(0, 4 * P), name);
    lease.release();
  }
});

test("ten tasks that want the same bytes at once pull them once", { skip }, async (t) => {
  const { file, start } = setUp(t);
  const cache = await start();
  const pull = pullFromDisk(() => sleep(2));
  const leases = await Promise.all(
    Array.from({ length: 10 }, (_, at) => take(cache, file, [{ start: at, end: 5 * P }], pull)),
  );
  assert.equal(totalBytes(pull.asked), 5 * P);
  assert.deepEqual(
    readCached(leases[9] as Lease, { start: 9, end: 5 * P }),
    BYTES.subarray(9, 5 * P),
  );
});

test("when the task that pulls is cancelled another one takes over", { skip }, async (t) => {
  const { file, start } = setUp(t);
  const cache = await start();
  const controller = new AbortController();
  const range = { start: 0, end: 4 * P };
  const second = pullFromDisk();
  let lease: Promise<Lease> | undefined;
  const slow = pullFromDisk(async ({ start }) => {
    if (start !== 2 * P) return;
    lease = take(cache, file, [range], second);
    await sleep(20);
    controller.abort(new Error("cancelled"));
  });
  const needs = [{ file, ranges: [range] }];
  const first = cache.lease(needs, { pull: slow.pull, signal: controller.signal });
  await assert.rejects(first, /cancelled/);
  assert.ok(lease !== undefined);
  assert.deepEqual(readCached(await lease, range), BYTES.subarray(0, 4 * P));
  // The first one's last piece was under way: it may have arrived.
  assert.ok(totalBytes(second.asked) <= 2 * P, "what had arrived is kept");
});

test("a failed pull fails the lease, and the next one begins where it stopped", {
  skip,
}, async (t) => {
  const { file, start } = setUp(t);
  const cache = await start();
  const range = { start: 0, end: 3 * P };
  const broken = pullFromDisk(({ start }) => {
    if (start === 2 * P) throw new Error("link down");
  });
  await assert.rejects(take(cache, file, [range], broken), /link down/);
  assert.equal(cache.usedBytes, 2 * P);
  const pull = pullFromDisk();
  (await take(cache, file, [range], pull)).release();
  assert.equal(totalBytes(pull.asked), P);
});

test("the least recently used pieces go when room is needed, and their blocks with them", {
  skip,
}, async (t) => {
  const { directory, file, start } = setUp(t);
  const cache = await start(3 * P);
  const piece = (at: number): Range => ({ start: at * P, end: (at + 1) * P });
  for (const at of [0, 1, 2, 0, 3]) {
    (await take(cache, file, [piece(at)], pullFromDisk())).release();
  }
  assert.equal(cache.usedBytes, 3 * P);
  assert.equal(cache.counters().evictedBytes, P);
  assert.deepEqual(cache.missing({ file, ranges: [{ start: 0, end: 4 * P }] }), [piece(1)]);
  const again = await start(3 * P);
  assert.equal(again.usedBytes, 3 * P);
  const smaller = await start(P);
  assert.ok(smaller.usedBytes <= P);
  await smaller[Symbol.asyncDispose]();
  const blocks = statSync(join(directory, cacheFileName(file))).blocks * 512;
  assert.ok(blocks <= 1.5 * P, `${blocks} bytes on disk`);
});

test("nothing that a lease holds is evicted; who needs the room waits for it", {
  skip,
}, async (t) => {
  const { file, start } = setUp(t);
  const cache = await start(3 * P);
  const held = { start: 0, end: 2 * P };
  const lease = await take(cache, file, [held], pullFromDisk());
  let admitted = false;
  const waiting = take(cache, file, [{ start: 2 * P, end: 5 * P }], pullFromDisk());
  waiting.then(() => {
    admitted = true;
  });
  await sleep(50);
  assert.equal(admitted, false);
  assert.deepEqual(readCached(lease, held), BYTES.subarray(0, 2 * P));
  lease.release();
  lease.release();
  const second = await waiting;
  const range = { start: 2 * P, end: 5 * P };
  assert.deepEqual(readCached(second, range), BYTES.subarray(2 * P, 5 * P));
  assert.equal(cache.usedBytes, 3 * P);
});

test("a task that the cache can never hold is refused with both sizes", { skip }, async (t) => {
  const { file, start } = setUp(t);
  const cache = await start(2 * P);
  const want = /holds at most 4 MiB, but the task needs 6 MiB at once; raise --cache-size/;
  await assert.rejects(take(cache, file, [{ start: 0, end: 3 * P }], pullFromDisk()), want);
  (await take(cache, file, [{ start: 0, end: 2 * P }], pullFromDisk())).release();
});

test("random tasks at random times always read the right bytes within the cap", {
  skip,
}, async (t) => {
  const { folder, file, start } = setUp(t);
  const other = testBytes(4 * P, 9);
  const models = [
    { file, bytes: BYTES },
    { file: writeWeights(folder, "b.safetensors", other), bytes: other },
  ] as const;
  const cache = await start(7 * P);
  const random = testRandom(4711);
  const runOne = async (): Promise<void> => {
    const { file: model, bytes } = models[random(2) as 0 | 1];
    const start = random(bytes.length - 1);
    const range = { start, end: Math.min(bytes.length, start + 1 + random(2 * P)) };
    const lease = await take(
      cache,
      model,
      [range],
      pullFromDisk(() => sleep(random(3))),
    );
    assert.ok(readCached(lease, range).equals(bytes.subarray(range.start, range.end)));
    await sleep(random(3));
    assert.ok(readCached(lease, range).equals(bytes.subarray(range.start, range.end)));
    assert.ok(cache.usedBytes <= 7 * P);
    lease.release();
  };
  const runMany = async (): Promise<void> => {
    for (let round = 0; round < 12; round += 1) await runOne();
  };
  await Promise.all([runMany(), runMany(), runMany()]);
  assert.ok(cache.counters().evictedBytes > 0);
});

test("a cache belongs to one process; one left by a killed process is free", {
  skip,
}, async (t) => {
  const { directory, start } = setUp(t);
  await start();
  await assert.rejects(openShardCache({ directory, bytesMax: P }), /process \d+ uses this cache/);
  const lock = readdirSync(directory).find((name) => name.startsWith("lock-")) ?? "";
  writeFileSync(join(directory, lock), "1 another-boot:5\n");
  await (await openShardCache({ directory, bytesMax: P }))[Symbol.asyncDispose]();
});
