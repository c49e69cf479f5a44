// The example configuration of NATS, started as it stands: each role can do its work and nothing else.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import {
  BUCKETS,
  eventSubject,
  JobEvent,
  jobSubject,
  MESSAGES,
  natsSettings,
  QueuedJob,
  STREAMS,
  SubmitRequest,
  sealMessage,
  WorkerHeartbeat,
  workerSubject,
} from "@graft/proto";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { PermissionViolationError } from "@nats-io/transport-node";
import { openClaims } from "./claims.js";
import { connectNats, type NatsLink } from "./connection.js";
import { createEventPublisher, watchEvents } from "./events.js";
import { takeJobs } from "./intake.js";
import { watchWorkers } from "./membership.js";
import { openQueue } from "./queue.js";
import {
  eventually,
  freePort,
  SKIP_WITHOUT_NATS,
  startTestServer,
  type TestServer,
} from "./server-for-tests.js";

const skip = SKIP_WITHOUT_NATS;
const EXAMPLE = new URL("../../../deploy/nats/graft.conf", import.meta.url);
const PASSWORDS = { coordinator: "kGeheim", "worker-1": "wGeheim", client: "cGeheim" } as const;
type User = keyof typeof PASSWORDS;

interface Deployed extends AsyncDisposable {
  readonly server: TestServer;
  readonly monitoring: string;
  connect(user: User): Promise<NatsLink>;
}

/** Only the port of monitoring and the place of the store are the test's own. */
async function deploy(): Promise<Deployed> {
  const monitoring = `127.0.0.1:${await freePort()}`;
  const text = readFileSync(EXAMPLE, "utf8");
  assert.match(text, /^http: 127\.0\.0\.1:8222$/m);
  const config = text.replace("127.0.0.1:8222", monitoring).replace(/^ *store_dir: .*$/m, "");
  const server = await startTestServer({
    config,
    env: {
      GRAFT_NATS_COORDINATOR_PASSWORD: PASSWORDS.coordinator,
      GRAFT_NATS_WORKER_PASSWORD: PASSWORDS["worker-1"],
      GRAFT_NATS_CLIENT_PASSWORD: PASSWORDS.client,
    },
  });
  return {
    server,
    monitoring,
    async connect(user) {
      const login = { GRAFT_NATS_USER: user, GRAFT_NATS_PASSWORD: PASSWORDS[user] };
      const settings = natsSettings({ nats: `127.0.0.1:${server.port}` }, login);
      assert.ok(settings !== null);
      return await connectNats(settings, { name: user });
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

interface Varz {
  readonly http_host: string;
  readonly auth_required: boolean;
  readonly leaf: unknown;
  readonly cluster: unknown;
}

/** Operations and subjects that the server refused, as it reports them. */
function refusals(link: NatsLink): readonly string[] {
  const refused: string[] = [];
  void (async () => {
    for await (const status of link.connection.status()) {
      if (status.type !== "error" || !(status.error instanceof PermissionViolationError)) continue;
      refused.push(`${status.error.operation} ${status.error.subject}`);
    }
  })();
  return refused;
}

async function assertRefused(
  link: NatsLink,
  publishes: readonly string[],
  subscriptions: readonly string[],
): Promise<void> {
  const refused = refusals(link);
  for (const subject of publishes) link.connection.publish(subject, "{}");
  for (const subject of subscriptions) {
    link.connection.subscribe(subject, {
      callback: () => {
        // Nothing comes: the server refused it.
      },
    });
  }
  await link.connection.flush();
  const wanted = [
    ...publishes.map((subject) => `publish ${subject}`),
    ...subscriptions.map((subject) => `subscription ${subject}`),
  ];
  await eventually("all refused", () => refused.length >= wanted.length);
  assert.deepEqual([...refused].sort(), [...wanted].sort());
}

const ADMINISTRATION = [
  "$JS.API.STREAM.CREATE.MINE",
  `$JS.API.STREAM.DELETE.${STREAMS.jobs}`,
  `$JS.API.STREAM.PURGE.${STREAMS.jobs}`,
  `$JS.API.STREAM.UPDATE.KV_${BUCKETS.workers}`,
  `$JS.API.STREAM.MSG.DELETE.${STREAMS.events}`,
  `$JS.API.CONSUMER.CREATE.${STREAMS.jobs}.mine`,
  `$JS.API.CONSUMER.MSG.NEXT.${STREAMS.jobs}.coordinators`,
  `$JS.ACK.${STREAMS.jobs}.coordinators.1.1.1.1.0`,
];
const JOB_SUBJECTS = [jobSubject("a"), eventSubject("a"), `$KV.${BUCKETS.claims}.a`];
const EAVESDROPPING = [">", "graft.>", "$KV.>", "_INBOX.>", "_INBOX.coordinator.>", "$SYS.>"];

const heartbeat = (workerId: string): Uint8Array =>
  sealMessage(MESSAGES.heartbeat, WorkerHeartbeat.create({ workerId }));

describe("permissions", { skip, concurrency: true }, () => {
  test("coordinator, worker and client do their work", async () => {
    await using deployed = await deploy();
    await using coordinator = await deployed.connect("coordinator");
    await using worker = await deployed.connect("worker-1");
    await using client = await deployed.connect("client");
    const stop = new AbortController();
    const { signal } = stop;
    const refused = [coordinator, worker, client].map(refusals);
    const queue = await openQueue({ link: coordinator });
    await using claims = openClaims({ link: coordinator, coordinatorId: "c", address: "" });
    const request = SubmitRequest.create({ jobId: "a", recipeText: "r" });
    await queue.submit(QueuedJob.create({ request }), async () => undefined);
    for await (const owned of takeJobs({ queue, claims, epochFloorOf: async () => 0n, signal })) {
      await owned.bury("tested");
      break;
    }
    assert.equal(await queue.contains("a"), false);
    await using publisher = createEventPublisher(coordinator);
    publisher.publish(JobEvent.create({ jobId: "a", sequence: 1n, json: "{}" }));
    for await (const seen of watchEvents({ link: client, jobId: "a", afterSequence: 0n, signal })) {
      assert.equal(seen.kind, "event");
      break;
    }
    const joined = watchWorkers({ link: coordinator, signal }).next();
    await eventually("the heartbeat is stored", async () => {
      const publishing = jetstream(worker.connection).publish(
        workerSubject("worker-1"),
        heartbeat("worker-1"),
      );
      return await publishing.then(
        () => true,
        () => false,
      );
    });
    const first = await joined;
    assert.ok(first.value?.kind === "joined" && first.value.worker.workerId === "worker-1");
    stop.abort();
    assert.deepEqual(refused, [[], [], []]);
  });

  test("a worker's login reaches its own heartbeat and nothing else", async () => {
    await using deployed = await deploy();
    await using coordinator = await deployed.connect("coordinator");
    await openQueue({ link: coordinator });
    await using worker = await deployed.connect("worker-1");
    const others = [workerSubject("worker-2"), "$KV.graft_workers.>", "$SYS.REQ.SERVER.PING"];
    await assertRefused(worker, [...ADMINISTRATION, ...JOB_SUBJECTS, ...others], EAVESDROPPING);
    const manager = await jetstreamManager(coordinator.connection);
    const { state } = await manager.streams.info(STREAMS.jobs);
    assert.equal(state.messages, 0);
  });

  test("a client's login watches events and nothing else", async () => {
    await using deployed = await deploy();
    await using client = await deployed.connect("client");
    const publishes = [...ADMINISTRATION, ...JOB_SUBJECTS, workerSubject("worker-1")];
    await assertRefused(client, publishes, EAVESDROPPING);
  });

  test("a coordinator's login does not speak for workers or listen to others", async () => {
    await using deployed = await deploy();
    await using coordinator = await deployed.connect("coordinator");
    const others = EAVESDROPPING.filter((subject) => subject !== "_INBOX.coordinator.>");
    await assertRefused(coordinator, [workerSubject("worker-1"), "$SYS.REQ.SERVER.PING"], others);
  });

  test("nobody connects without a login, and monitoring is on loopback only", async () => {
    await using deployed = await deploy();
    const anonymous = connectNats(deployed.server.settings, { name: "nobody" });
    await assert.rejects(anonymous, { code: "NATS_REFUSED" });
    const answer = await fetch(`http://${deployed.monitoring}/varz`);
    const { http_host, auth_required, leaf, cluster } = (await answer.json()) as Varz;
    assert.deepEqual([http_host, auth_required], ["127.0.0.1", true]);
    // No ports for other servers: neither routes nor leaf nodes.
    assert.deepEqual([leaf, cluster], [{}, {}]);
  });
});
