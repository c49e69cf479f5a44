// Ownership on a real nats-server: races, silence, lost stores, outages, and owners that come back.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { BUCKETS, JobClaim, MESSAGES, QueuedJob, SubmitRequest, sealMessage } from "@graft/proto";
import { jetstream } from "@nats-io/jetstream";
import { CLAIM_STOP_MS, type Claim } from "./claim.js";
import { CLAIM_SILENT_MS, type Claims, openClaims, type TakeResult } from "./claims.js";
import type { NatsLink } from "./connection.js";
import { eventually, SKIP_WITHOUT_NATS, startTestServer } from "./server-for-tests.js";

const skip = SKIP_WITHOUT_NATS;
const job = QueuedJob.create({ request: SubmitRequest.create({ jobId: "a", recipeText: "r" }) });

const open = (link: NatsLink, coordinatorId: string): Claims =>
  openClaims({ link, coordinatorId, address: `${coordinatorId}:1` });

const take = (claims: Claims, epochFloor = 0n): Promise<TakeResult> =>
  claims.take(job, { epochFloor });

async function mine(claims: Claims, epochFloor = 0n): Promise<Claim> {
  const taken = await take(claims, epochFloor);
  assert.ok(taken.kind === "mine", "taken");
  return taken.claim;
}

describe("claims", { skip, concurrency: true }, () => {
  test("of many coordinators that race for a job exactly one gets it", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    for (let round = 0; round < 20; round += 1) {
      const racing = QueuedJob.create({ request: SubmitRequest.create({ jobId: `j${round}` }) });
      const rivals = Array.from({ length: 4 }, (_, i) => open(link, `c${i}`));
      const results = await Promise.all(
        rivals.map((claims) => claims.take(racing, { epochFloor: 0n })),
      );
      const won = results.filter((result) => result.kind === "mine");
      assert.equal(won.length, 1, `round ${round}`);
      await won[0]?.claim[Symbol.asyncDispose]();
      await Promise.all(rivals.map((claims) => claims[Symbol.asyncDispose]()));
    }
  });

  test("epochs grow over release, takeover and a lost bucket", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await using one = open(link, "one");
    await using two = open(link, "two");
    const first = await mine(one);
    await first[Symbol.asyncDispose]();
    const second = await mine(two);
    assert.ok(second.epoch > first.epoch);
    await second[Symbol.asyncDispose]();
    const third = await mine(one, 1_000n);
    assert.equal(third.epoch, 1_001n);
    await third[Symbol.asyncDispose]();
    await server.kill();
    server.deleteStore();
    await server.start();
    await eventually("connected", () => link.connectedSinceMs() !== undefined);
    const fourth = await mine(two, third.epoch);
    assert.equal(fourth.epoch, 1_002n);
    await fourth[Symbol.asyncDispose]();
  });

  test("a silent owner's job can be taken over within ten seconds, not before eight", async () => {
    await using server = await startTestServer();
    await using link = await server.connect("one");
    await using other = await server.connect("two");
    await using two = open(other, "two");
    const one = open(link, "one");
    const first = await mine(one);
    await eventually("the standby knows", () => two.holder("a") !== undefined);
    assert.equal((await take(two)).kind, "held");
    const startMs = performance.now();
    // A process that dies says nothing: its connection is just gone.
    await link[Symbol.asyncDispose]();
    let second: Claim | undefined;
    await eventually("taken over", async () => {
      const taken = await take(two);
      if (taken.kind === "mine") second = taken.claim;
      return taken.kind === "mine";
    });
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs <= 10_000 && tookMs > CLAIM_SILENT_MS - 3_500, `${tookMs} ms`);
    assert.ok(second !== undefined && second.epoch > first.epoch);
    assert.equal(first.signal.aborted, true);
    assert.equal(await second.stillMine(), true);
    await second[Symbol.asyncDispose]();
    await one[Symbol.asyncDispose]();
  });

  test("an owner whose key was taken learns it before it writes", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await using one = open(link, "one");
    const claim = await mine(one);
    // What a standby does that saw this owner silent, e.g. across a cut link.
    const usurper = JobClaim.create({ jobId: "a", coordinatorId: "two", epoch: claim.epoch + 9n });
    const client = jetstream(link.connection);
    await client.publish(`$KV.${BUCKETS.claims}.a`, sealMessage(MESSAGES.claim, usurper));
    assert.equal(await claim.stillMine(), false);
    assert.equal(claim.signal.aborted, true);
    assert.equal(claim.signal.reason.code, "CLAIM_LOST");
    assert.match(claim.signal.reason.message, /now owned by two \(epoch \d+\)/);
    // Its end must not remove the new owner's key.
    await claim[Symbol.asyncDispose]();
    await eventually("heard", () => one.holder("a")?.coordinatorId === "two");
  });

  test("an owner cut off from NATS stops before others may take over", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await using one = open(link, "one");
    const claim = await mine(one);
    await delay(1_000);
    const startMs = performance.now();
    await server.kill();
    await eventually("stopped", () => claim.signal.aborted);
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < CLAIM_STOP_MS + 500 && tookMs < CLAIM_SILENT_MS, `${tookMs} ms`);
    assert.equal(await claim.stillMine(), false);
    await server.start();
    await eventually("connected", () => link.connectedSinceMs() !== undefined);
    const again = await mine(one, claim.epoch);
    assert.ok(again.epoch > claim.epoch);
    await again[Symbol.asyncDispose]();
  });

  test("a claim outlives a short restart of the server and the loss of its store", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await using one = open(link, "one");
    const claim = await mine(one);
    for (const loseStore of [false, true]) {
      await server.kill();
      if (loseStore) server.deleteStore();
      await server.start();
      await eventually("connected", () => link.connectedSinceMs() !== undefined);
      await eventually("still mine", () => claim.stillMine(), CLAIM_STOP_MS);
    }
    assert.equal(claim.signal.aborted, false);
    await claim[Symbol.asyncDispose]();
  });

  test("nobody is called silent because NATS was away", async () => {
    await using server = await startTestServer();
    await using link = await server.connect("one");
    await using other = await server.connect("two");
    await using two = open(other, "two");
    await using one = open(link, "one");
    const claim = await mine(one);
    await eventually("the standby knows", () => two.holder("a") !== undefined);
    await server.kill();
    await delay(CLAIM_STOP_MS - 3_500);
    await server.start();
    for (let i = 0; i < 40; i += 1) {
      assert.deepEqual(two.silent(), []);
      await delay(250);
    }
    assert.equal(claim.signal.aborted, false);
    await claim[Symbol.asyncDispose]();
  });

  test("a damaged claim is counted, and does not block the job", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    const ignored: string[] = [];
    const onIgnored = (where: string): number => ignored.push(where);
    await using one = openClaims({ link, coordinatorId: "one", address: "", onIgnored });
    const claim = await mine(one);
    await claim[Symbol.asyncDispose]();
    await jetstream(link.connection).publish(`$KV.${BUCKETS.claims}.a`, new Uint8Array([9, 9]));
    await eventually("counted", () => ignored.includes("a"));
    const again = await mine(one);
    assert.ok(again.epoch > claim.epoch);
    await again[Symbol.asyncDispose]();
  });
});
