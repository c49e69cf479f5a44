// Membership on a real nats-server: who joins, changes and leaves, and what no outage may do.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BUCKETS, MESSAGES, sealMessage, WorkerHeartbeat, workerSubject } from "@graft/proto";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsLink } from "./connection.js";
import { type MemberEvent, watchWorkers } from "./membership.js";
import { eventually, SKIP_WITHOUT_NATS, startTestServer } from "./server-for-tests.js";

const skip = SKIP_WITHOUT_NATS;

const worker = (workerId: string, more: Partial<WorkerHeartbeat> = {}): WorkerHeartbeat =>
  WorkerHeartbeat.create({ workerId, address: "127.0.0.1:1", protocolVersion: 1, ...more });

interface Watcher extends AsyncDisposable {
  readonly events: readonly string[];
  readonly ignored: readonly string[];
}

function watch(link: NatsLink): Watcher {
  const stop = new AbortController();
  const events: string[] = [];
  const ignored: string[] = [];
  const onIgnored = (where: string, problem: string) => ignored.push(`${where}: ${problem}`);
  const loop = (async () => {
    for await (const event of watchWorkers({ link, signal: stop.signal, onIgnored })) {
      events.push(render(event));
    }
  })();
  return {
    events,
    ignored,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await loop;
    },
  };
}

function render(event: MemberEvent): string {
  if (event.kind === "left") return `left ${event.workerId} ${event.reason}`;
  return `${event.kind} ${event.worker.workerId}`;
}

async function publish(link: NatsLink, subject: string, bytes: Uint8Array): Promise<void> {
  await jetstream(link.connection).publish(subject, bytes);
}

const beat = (link: NatsLink, of: WorkerHeartbeat): Promise<void> =>
  publish(link, workerSubject(of.workerId), sealMessage(MESSAGES.heartbeat, of));

/** Waits for the bucket, beats, and waits until the watcher knows. */
async function join(link: NatsLink, watcher: Watcher, of: WorkerHeartbeat): Promise<void> {
  await eventually("the heartbeat arrives", () =>
    beat(link, of).then(
      () => true,
      () => false,
    ),
  );
  await eventually("it joins", () => watcher.events.includes(`joined ${of.workerId}`));
}

describe("membership", { skip, concurrency: true }, () => {
  test("workers join, change, and leave by silence after ten seconds", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await using watcher = watch(link);
    await join(link, watcher, worker("host.example:7"));
    await beat(link, worker("host.example:7"));
    await beat(link, worker("host.example:7", { draining: true }));
    const startMs = performance.now();
    await eventually("it leaves", () => watcher.events.length === 3);
    const tookMs = performance.now() - startMs;
    assert.deepEqual(watcher.events, [
      "joined host.example:7",
      "changed host.example:7",
      "left host.example:7 silent",
    ]);
    assert.ok(tookMs > 9_000 && tookMs < 12_000, `${tookMs} ms`);
  });

  test("damaged, misdirected and foreign messages are ignored and counted", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await using watcher = watch(link);
    await join(link, watcher, worker("w1"));
    const bytes = sealMessage(MESSAGES.heartbeat, worker("w2"));
    const damaged = Uint8Array.from(bytes);
    damaged[9] = (damaged[9] ?? 0) ^ 1;
    await publish(link, workerSubject("w2"), damaged);
    await publish(link, workerSubject("w3"), bytes);
    await publish(link, workerSubject("w4"), new Uint8Array([1, 2, 3]));
    await eventually("all are ignored", () => watcher.ignored.length === 3);
    assert.deepEqual(watcher.ignored, ["w2: damaged", "w3: another worker's name", "w4: damaged"]);
    assert.deepEqual(watcher.events, ["joined w1"]);
  });

  test("a server that is killed and comes back costs nobody the membership", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await using watcher = watch(link);
    await join(link, watcher, worker("w1"));
    await server.kill();
    // Longer than the time to live: had silence counted, w1 would be out.
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    await server.start();
    await eventually("beats again", () =>
      beat(link, worker("w1")).then(
        () => true,
        () => false,
      ),
    );
    await join(link, watcher, worker("w2"));
    assert.deepEqual(watcher.events, ["joined w1", "joined w2"]);
  });

  test("a store deleted while the server is down is made again", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await using watcher = watch(link);
    await join(link, watcher, worker("w1"));
    await server.kill();
    server.deleteStore();
    await server.start();
    await join(link, watcher, worker("w2"));
    assert.deepEqual(watcher.events, ["joined w1", "joined w2"]);
    await eventually("who did not come back leaves", () => watcher.events.length === 3);
    assert.equal(watcher.events[2], "left w1 silent");
  });

  test("a bucket deleted under a running server is made again", async () => {
    await using server = await startTestServer();
    await using link = await server.connect();
    await using watcher = watch(link);
    await join(link, watcher, worker("w1"));
    const manager = await jetstreamManager(link.connection);
    await manager.streams.delete(`KV_${BUCKETS.workers}`);
    await join(link, watcher, worker("w2"));
  });
});
