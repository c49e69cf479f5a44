// The intake of several coordinators on a real nats-server: one owner per job, takeover after kill -9,
// late acknowledgements, lost stores, and jobs that kill whoever takes them.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { DURABLES, QueuedJob, STREAMS, SubmitRequest } from "@graft/proto";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { openClaims } from "./claims.js";
import type { NatsLink } from "./connection.js";
import { type OwnedJob, takeJobs } from "./intake.js";
import { type JobQueue, openQueue } from "./queue.js";
import {
  eventually,
  SKIP_WITHOUT_NATS,
  startTestServer,
  type TestServer,
} from "./server-for-tests.js";
import { DELIVERY_COUNT_MAX } from "./streams.js";

const skip = SKIP_WITHOUT_NATS;
const TAKEOVER_MS = 10_000;

const job = (jobId: string): QueuedJob =>
  QueuedJob.create({ request: SubmitRequest.create({ jobId, recipeText: "r" }) });

interface Coordinator extends AsyncDisposable {
  readonly queue: JobQueue;
  readonly link: NatsLink;
  readonly owned: OwnedJob[];
}

/** Takes every job it can get and keeps it. */
async function coordinator(server: TestServer, coordinatorId: string): Promise<Coordinator> {
  const link = await server.connect(coordinatorId);
  const queue = await openQueue({ link });
  const claims = openClaims({ link, coordinatorId, address: "" });
  const stop = new AbortController();
  const owned: OwnedJob[] = [];
  const { signal } = stop;
  const epochFloorOf = async (): Promise<bigint> => 0n;
  const loop = (async () => {
    for await (const taken of takeJobs({ queue, claims, epochFloorOf, signal })) owned.push(taken);
  })();
  return {
    queue,
    link,
    owned,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await loop;
      for (const taken of owned) await taken[Symbol.asyncDispose]();
      await claims[Symbol.asyncDispose]();
      await link[Symbol.asyncDispose]();
    },
  };
}

const record = async (): Promise<void> => undefined;
const idsOf = ({ owned }: Coordinator): readonly string[] => owned.map(({ claim }) => claim.jobId);
const stored = async ({ link }: Coordinator): Promise<number> => {
  const manager = await jetstreamManager(link.connection);
  return (await manager.streams.info(STREAMS.jobs)).state.messages;
};

/** A coordinator in a process of its own; prints the epoch of each job it takes. */
function spawnCoordinator(server: TestServer, id: string): ChildProcess {
  const from = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
  const code = `
    import { openClaims } from ${from("./claims.js")};
    import { connectNats } from ${from("./connection.js")};
    import { takeJobs } from ${from("./intake.js")};
    import { openQueue } from ${from("./queue.js")};
    const settings = ${JSON.stringify(server.settings)};
    const link = await connectNats(settings, { name: "${id}" });
    const queue = await openQueue({ link });
    const claims = openClaims({ link, coordinatorId: "${id}", address: "" });
    const { signal } = new AbortController();
    const epochFloorOf = async () => 0n;
    for await (const { claim } of takeJobs({ queue, claims, epochFloorOf, signal }))
      console.log(String(claim.epoch));
  `;
  const args = ["--input-type=module", "--eval", code];
  return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
}

async function nextLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("invariant: a pipe");
  const [line] = await once(createInterface(child.stdout), "line");
  return String(line);
}

describe("intake", { skip, concurrency: true }, () => {
  test("each of many jobs gets exactly one of three coordinators", async () => {
    await using server = await startTestServer();
    await using one = await coordinator(server, "one");
    await using two = await coordinator(server, "two");
    await using three = await coordinator(server, "three");
    const ids = Array.from({ length: 30 }, (_, i) => `job-${i}`);
    for (const id of ids) await one.queue.submit(job(id), record);
    const taken = (): readonly string[] => [one, two, three].flatMap(idsOf);
    await eventually("all taken", () => taken().length === ids.length);
    await delay(1_500);
    assert.deepEqual([...taken()].sort(), [...ids].sort());
    for (const owned of [one, two, three].flatMap(({ owned }) => owned)) await owned.finish();
    assert.equal(await stored(one), 0);
  });

  test("a standby takes over within ten seconds of the owner's kill -9", async () => {
    await using server = await startTestServer();
    await using submitter = await server.connect();
    const queue = await openQueue({ link: submitter });
    const owner = spawnCoordinator(server, "owner");
    await queue.submit(job("a"), record);
    const epoch = BigInt(await nextLine(owner));
    await using standby = await coordinator(server, "standby");
    await delay(4_000);
    assert.equal(standby.owned.length, 0);
    const startMs = performance.now();
    owner.kill("SIGKILL");
    await eventually("taken over", () => standby.owned.length === 1);
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs <= TAKEOVER_MS, `${tookMs} ms`);
    console.log(`# takeover after kill -9: ${Math.round(tookMs)} ms`);
    const [taken] = standby.owned;
    assert.ok(taken !== undefined && taken.claim.epoch > epoch);
    assert.deepEqual(taken.job, job("a"));
    await taken.finish();
    assert.equal(await stored(standby), 0);
  });

  test("an owner that was stopped and comes back is stale before it writes", async () => {
    await using server = await startTestServer();
    await using submitter = await server.connect();
    const queue = await openQueue({ link: submitter });
    const owner = spawnCoordinator(server, "owner");
    await queue.submit(job("a"), record);
    const epoch = BigInt(await nextLine(owner));
    await using standby = await coordinator(server, "standby");
    owner.kill("SIGSTOP");
    await eventually("taken over", () => standby.owned.length === 1);
    const [taken] = standby.owned;
    assert.ok(taken !== undefined && taken.claim.epoch > epoch);
    owner.kill("SIGCONT");
    // The old owner renews, sees the new one's key and leaves it alone.
    for (let i = 0; i < 8; i += 1) {
      await delay(500);
      assert.equal(await taken.claim.stillMine(), true);
    }
    owner.kill("SIGKILL");
    await taken.finish();
  });

  test("a late acknowledgement of the old owner changes nothing for the new one", async () => {
    await using server = await startTestServer();
    await using link = await server.connect("old");
    const queue = await openQueue({ link });
    await queue.submit(job("a"), record);
    const pull = `$JS.API.CONSUMER.MSG.NEXT.${STREAMS.jobs}.${DURABLES.coordinators}`;
    const delivered = await link.connection.request(pull, JSON.stringify({ batch: 1 }), {
      timeout: 2_000,
      noMux: true,
    });
    const reply = delivered.reply ?? "";
    // Its time to acknowledge runs out; what "-NAK" does at once, 30 s do too.
    link.connection.publish(reply, "-NAK");
    await using standby = await coordinator(server, "new");
    await eventually("redelivered", () => standby.owned.length === 1);
    const [taken] = standby.owned;
    assert.equal(taken?.deliveryCount, 2);
    await link.connection.request(reply, "+ACK");
    // JetStream took it: the message is gone while its new owner works. The job is still that owner's.
    assert.equal(await stored(standby), 0);
    await delay(4_000);
    assert.equal(await taken?.claim.stillMine(), true);
    assert.equal(taken?.claim.signal.aborted, false);
    await taken?.finish();
  });

  test("a job whose message is lost is taken over from its claim alone", async () => {
    await using server = await startTestServer();
    await using standby = await coordinator(server, "standby");
    const link = await server.connect("owner");
    const owner = openClaims({ link, coordinatorId: "owner", address: "" });
    const claimed = await owner.take(job("a"), { epochFloor: 0n });
    assert.ok(claimed.kind === "mine");
    await delay(1_000);
    await link[Symbol.asyncDispose]();
    await eventually("taken over", () => standby.owned.length === 1);
    assert.deepEqual(standby.owned[0]?.job, job("a"));
    assert.equal(standby.owned[0]?.deliveryCount, 0);
    await standby.owned[0]?.finish();
    await claimed.claim[Symbol.asyncDispose]();
    await owner[Symbol.asyncDispose]();
  });

  test("waiting behind an owner costs no delivery, and its end ends the wait", async () => {
    await using server = await startTestServer();
    await using one = await coordinator(server, "one");
    await one.queue.submit(job("a"), record);
    await eventually("owned", () => one.owned.length === 1);
    await using two = await coordinator(server, "two");
    // The same job once more, as a submit that was repeated after the window for duplicates.
    const client = jetstream(one.link.connection);
    const manager = await jetstreamManager(one.link.connection);
    const stored1 = await manager.streams.getMessage(STREAMS.jobs, { seq: 1 });
    assert.ok(stored1 !== null);
    await client.publish(stored1.subject, stored1.data, { msgID: "again" });
    await delay(3_000);
    assert.equal(one.owned.length + two.owned.length, 1);
    await one.owned[0]?.finish();
    await delay(3_000);
    assert.equal(one.owned.length + two.owned.length, 1);
    assert.equal(await stored(one), 0);
  });

  test("a job that was given back too often is handed out as exhausted, then buried", async () => {
    await using server = await startTestServer();
    await using one = await coordinator(server, "one");
    await one.queue.submit(job("a"), record);
    for (let attempt = 1; attempt <= DELIVERY_COUNT_MAX; attempt += 1) {
      await eventually("delivered", () => one.owned.length === attempt);
      const taken = one.owned.at(-1);
      assert.equal(taken?.deliveryCount, attempt);
      assert.equal(taken?.exhausted, undefined);
      await taken?.giveBack(0);
    }
    await eventually("delivered", () => one.owned.length > DELIVERY_COUNT_MAX);
    const last = one.owned.at(-1);
    assert.equal(last?.exhausted, `delivered ${DELIVERY_COUNT_MAX + 1} times`);
    await last?.bury("too often");
    assert.equal(await stored(one), 0);
    const manager = await jetstreamManager(one.link.connection);
    assert.equal((await manager.streams.info(STREAMS.deadLetters)).state.messages, 1);
  });

  test("kill -9 of the server, with its store deleted, leaves one owner per job", async () => {
    await using server = await startTestServer();
    await using one = await coordinator(server, "one");
    await one.queue.submit(job("a"), record);
    await eventually("owned", () => one.owned.length === 1);
    await using two = await coordinator(server, "two");
    await server.kill();
    server.deleteStore();
    await server.start();
    await eventually("new jobs are taken", () =>
      two.queue.submit(job("b"), record).then(
        () => true,
        () => false,
      ),
    );
    await eventually("taken", () => one.owned.length + two.owned.length === 2);
    await delay(3_000);
    assert.deepEqual([...idsOf(one), ...idsOf(two)].sort(), ["a", "b"]);
    assert.equal(await one.owned[0]?.claim.stillMine(), true);
  });
});
