import assert from "node:assert/strict";
import { rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { digestRange } from "@graft/native";
import type { WeightFile } from "@graft/proto";
import { credentials } from "@grpc/grpc-js";
import type { AcceptPiece } from "../cache/fill.js";
import { PIECE_BYTES, type Range, splitPieces } from "../cache/ranges.js";
import { openShardCache } from "../cache/shard-cache.js";
import { pullFromDisk, testBytes, testRandom, writeWeights } from "../cache/test-weights.js";
import { readConfig } from "../config.js";
import { startWorker } from "../rpc/server.js";
import { SKIP_WITHOUT_ADDON, temporaryFolder } from "../test-models.js";
import { createPeers, type Peers } from "./pull.js";
import { createLink } from "./test-link.js";

const skip = SKIP_WITHOUT_ADDON;
const P = PIECE_BYTES;
const BYTES = testBytes(5 * P + 123, 3);
const WHOLE = splitPieces([{ start: 0, end: BYTES.length }]);
const { signal } = new AbortController();

interface Setup {
  readonly folder: string;
  readonly file: WeightFile;
  readonly holder: string;
  readonly peers: Peers;
}

/** A real worker on loopback that holds a file, and somebody who pulls from it. */
async function setUp(t: TestContext, cacheDir?: string): Promise<Setup> {
  const folder = temporaryFolder(t);
  const flags = {
    listen: "127.0.0.1:0",
    threads: "1",
    memory: String(256 * 1024 * 1024),
    cacheDir,
  };
  const worker = await startWorker(readConfig(flags, {}));
  const peers = createPeers({ credentials: credentials.createInsecure(), silenceMs: 400 });
  t.after(async () => {
    peers[Symbol.dispose]();
    await worker[Symbol.asyncDispose]();
  });
  const file = writeWeights(folder, "a.safetensors", BYTES);
  return { folder, file, holder: `127.0.0.1:${worker.port}`, peers };
}

interface Sink {
  readonly accept: AcceptPiece;
  /** What was accepted, at its place. */
  readonly bytes: Buffer;
  readonly accepted: Range[];
  readonly refusedCount: () => number;
}

/** Takes pieces as the cache does: by the digest of the bytes that arrived. */
function sink(t: TestContext): Sink {
  const path = join(temporaryFolder(t), "piece");
  const bytes = Buffer.alloc(BYTES.length);
  const accepted: Range[] = [];
  let refused = 0;
  let last: Promise<unknown> = Promise.resolve();
  const accept: AcceptPiece = (piece, data, digest) => {
    const result = last.then(async () => {
      writeFileSync(path, data);
      if ((await digestRange(path, 0n, data.length)) !== digest) {
        refused += 1;
        return false;
      }
      accepted.push(piece);
      bytes.set(data, piece.start);
      return true;
    });
    last = result.catch(() => undefined);
    return result;
  };
  return { accept, bytes, accepted, refusedCount: () => refused };
}

function heldBy(file: WeightFile, ...holders: string[]): WeightFile {
  return { ...file, source: { holders, contentDigest: "" } };
}

test("pieces arrive whole, once, and only those that were asked for", { skip }, async (t) => {
  const { file, holder, peers } = await setUp(t);
  const { accept, bytes, accepted } = sink(t);
  const wanted = splitPieces([
    { start: 10, end: P + 10 },
    { start: 3 * P - 5, end: BYTES.length },
  ]);
  await peers.pull(heldBy(file, holder), wanted, accept, signal);
  const byStart = [...accepted].sort((a, b) => a.start - b.start);
  assert.deepEqual(byStart, wanted);
  for (const { start, end } of wanted) {
    assert.ok(bytes.subarray(start, end).equals(BYTES.subarray(start, end)));
  }
  assert.deepEqual(peers.counters().get(holder), {
    receivedBytes: P + 5 + 2 * P + 123,
    wrongPieceCount: 0,
    brokenStreamCount: 0,
  });
});

test("a connection cut at any byte goes on where the last good piece ended", {
  skip,
}, async (t) => {
  const { file, holder, peers } = await setUp(t);
  const random = testRandom(99);
  for (let round = 0; round < 12; round += 1) {
    const link = await createLink(t, holder);
    const { accept, bytes, accepted } = sink(t);
    // Around each message's end in turn, and anywhere.
    const cut = round < 6 ? round * (P + 60) + random(90) : random(BYTES.length);
    link.cutAt(cut);
    await peers.pull(heldBy(file, link.address), WHOLE, accept, signal);
    assert.ok(bytes.equals(BYTES), `cut at ${cut}`);
    assert.equal(accepted.length, WHOLE.length, `cut at ${cut}: a piece came twice`);
    // Only what was under way when it was cut crosses the link again.
    assert.ok(link.movedBytes < BYTES.length + 10 * P, `${link.movedBytes} bytes`);
  }
});

test("a bit flipped on the way costs that piece, which is asked for again and counted", {
  skip,
}, async (t) => {
  const { file, holder, peers } = await setUp(t);
  const random = testRandom(5);
  let wrongCount = 0;
  for (let round = 0; round < 10; round += 1) {
    const link = await createLink(t, holder);
    const { accept, bytes, refusedCount } = sink(t);
    // It may hit a payload, a digest, or the framing around them.
    link.flipAt(round === 0 ? 3 * P : random(BYTES.length));
    await peers.pull(heldBy(file, link.address), WHOLE, accept, signal);
    assert.ok(bytes.equals(BYTES));
    assert.equal(peers.counters().get(link.address)?.wrongPieceCount, refusedCount());
    wrongCount += refusedCount();
  }
  assert.ok(wrongCount >= 5, `${wrongCount} of 10 flips hit a piece`);
});

test("a holder that falls silent is left for the next one, from where it stopped", {
  skip,
}, async (t) => {
  const { file, holder, peers } = await setUp(t);
  const link = await createLink(t, holder);
  const { accept, bytes, accepted } = sink(t);
  const stopping: AcceptPiece = (piece, data, digest) => {
    if (piece.start >= P) link.hold();
    return accept(piece, data, digest);
  };
  await peers.pull(heldBy(file, link.address, holder), WHOLE, stopping, signal);
  assert.ok(bytes.equals(BYTES));
  assert.equal(accepted.length, WHOLE.length);
  assert.equal(peers.counters().get(link.address)?.brokenStreamCount, 1);
});

test("holders that are down or do not have the file are passed over", { skip }, async (t) => {
  const first = await setUp(t);
  const { folder, file, holder, peers } = await setUp(t);
  const elsewhere = { ...file, path: join(folder, "nowhere") };
  const { accept, bytes } = sink(t);
  await peers.pull(heldBy(file, "127.0.0.1:1", holder), WHOLE, accept, signal);
  assert.ok(bytes.equals(BYTES));
  await assert.rejects(
    peers.pull(heldBy(elsewhere, first.holder, holder), WHOLE, accept, signal),
    (error: Error) => {
      assert.match(
        error.message,
        /no holder gave bytes 0\.\.\d+ \(2 asked\), last 127.*no such file/,
      );
      return true;
    },
  );
  await assert.rejects(peers.pull(heldBy(file), WHOLE, accept, signal), /\(0 asked\)/);
});

test("a file that changed at its holder is said to have changed", { skip }, async (t) => {
  const { file, holder, peers } = await setUp(t);
  utimesSync(file.path, 1, 1);
  const { accept, accepted } = sink(t);
  await assert.rejects(
    peers.pull(heldBy(file, holder), WHOLE, accept, signal),
    /a\.safetensors: changed while the merge was running/,
  );
  assert.deepEqual(accepted, []);
});

test("what the receiver cannot store is its own error and not the peer's", { skip }, async (t) => {
  const { file, holder, peers } = await setUp(t);
  let calls = 0;
  const full: AcceptPiece = async () => {
    calls += 1;
    throw new Error("disk full");
  };
  await assert.rejects(peers.pull(heldBy(file, holder), WHOLE, full, signal), /disk full/);
  assert.equal(calls, 1);
});

test("a pull that is aborted ends at once with the reason", { skip }, async (t) => {
  const { file, holder, peers } = await setUp(t);
  const link = await createLink(t, holder);
  link.hold();
  const controller = new AbortController();
  const pulled = peers.pull(heldBy(file, link.address), WHOLE, sink(t).accept, controller.signal);
  setTimeout(() => controller.abort(new Error("no longer needed")), 50);
  await assert.rejects(pulled, /no longer needed/);
});

test("a holder whose original is gone serves what its cache has", { skip }, async (t) => {
  const directory = join(temporaryFolder(t), "cache");
  const { file, holder, peers } = await setUp(t, directory);
  const filled = await openShardCache({ directory, bytesMax: 100 * P });
  const range = { start: 0, end: 3 * P };
  const lease = await filled.lease([{ file, ranges: [range] }], { ...pullFromDisk(), signal });
  lease.release();
  await filled[Symbol.asyncDispose]();
  rmSync(file.path);
  const { accept, bytes } = sink(t);
  await peers.pull(heldBy(file, holder), splitPieces([range]), accept, signal);
  assert.ok(bytes.subarray(0, 3 * P).equals(BYTES.subarray(0, 3 * P)));
  await assert.rejects(
    peers.pull(heldBy(file, holder), WHOLE, accept, signal),
    /neither here \(no such file\) nor whole in the cache/,
  );
});
