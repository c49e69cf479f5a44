// The worker itself, as a process and inside this one, behind its own flags: who may call it, what it
// says at its start, and that nothing of a private key is ever in what it says.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { credentialsFor } from "@graft/coordinator";
import { callersOf } from "@graft/proto";
import { readConfig, startWorker } from "@graft/worker";
import { WORKER_PATHS } from "../support/counting-server.js";
import { type Identities, makeIdentities, otherRoles } from "../support/identities.js";
import { rawCall } from "../support/raw-call.js";
import { ROOT, temporaryDirectory } from "../support/run.js";

const MEMORY = String(512 * 2 ** 20);
const GET_WORKER = "/graft.v1.WorkerService/GetWorker";

function tlsFlags({ directory }: Identities, name: string) {
  const path = (file: string): string => join(directory, file);
  return { tlsCert: path(`${name}.pem`), tlsKey: path(`${name}.key`), tlsCa: path("ca.pem") };
}

test("a worker with TLS serves nobody but those its table of roles names", async (context) => {
  const identities = await makeIdentities(temporaryDirectory(context));
  const log: string[] = [];
  const flags = { listen: "127.0.0.1:0", threads: "1", memory: MEMORY };
  const config = readConfig({ ...flags, ...tlsFlags(identities, "worker") }, {});
  await using worker = await startWorker(config, (text) => log.push(text));
  const address = `127.0.0.1:${worker.port}`;
  let refusedCount = 0;
  for (const path of WORKER_PATHS) {
    for (const [name, credentials] of identities.strangers) {
      const { code, details } = await rawCall(address, path, credentials);
      assert.equal(code, "UNAVAILABLE", `${path}, ${name}: ${details}`);
    }
    const { code } = await rawCall(address, path, identities.nobody);
    assert.equal(code, "UNAUTHENTICATED", path);
    refusedCount += 1;
    for (const role of otherRoles(callersOf(path))) {
      const { code } = await rawCall(address, path, identities.caller(role));
      assert.equal(code, "PERMISSION_DENIED", `${path}, ${role}`);
      refusedCount += 1;
    }
  }
  assert.equal(log.length, refusedCount);
  for (const line of log) assert.match(line, /^refused 127\.0\.0\.1:\d+: \//);
  const credentials = credentialsFor(identities.files("coordinator"), "worker");
  assert.equal((await rawCall(address, GET_WORKER, credentials)).code, "OK");
  assert.equal((await rawCall(address, "/grpc.health.v1.Health/Check", credentials)).code, "OK");
  const reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  assert.equal((await rawCall(address, reflection, credentials)).code, "UNIMPLEMENTED");
});

test("a certificate that is no worker's ends the start", async (context) => {
  const identities = await makeIdentities(temporaryDirectory(context));
  const config = readConfig({ listen: "127.0.0.1:0", ...tlsFlags(identities, "client") }, {});
  const want = /--tls-cert: .*client\.pem: expected .*graft:role:worker, got client role/;
  await assert.rejects(startWorker(config), want);
});

interface Said {
  readonly text: string;
  readonly exitCode: number | null;
}

/** Runs a worker with all of gRPC's tracing on until `during` is over, and gives all that it said. */
async function runWorker(
  context: TestContext,
  args: readonly string[],
  during: (address: string) => Promise<void>,
): Promise<Said> {
  const worker = join(ROOT, "worker", "bin", "worker.js");
  const command = [worker, "--listen", "0.0.0.0:0", "--memory", MEMORY, ...args];
  const trace = { GRPC_TRACE: "all", GRPC_VERBOSITY: "DEBUG" };
  const child = spawn(process.execPath, command, { env: { ...process.env, ...trace } });
  context.after(() => child.kill("SIGKILL"));
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
  }
  const closed = once(child, "close");
  const [line] = await Promise.race([once(createInterface(child.stdout), "line"), closed]);
  const listen = typeof line === "string" ? /0\.0\.0\.0:(\d+)/.exec(line)?.[1] : undefined;
  if (listen !== undefined) {
    await during(`127.0.0.1:${listen}`);
    child.kill("SIGTERM");
  }
  const [exitCode] = await closed;
  return { text, exitCode };
}

test("a worker's output has nothing of its key, whatever goes wrong", async (context) => {
  const identities = await makeIdentities(temporaryDirectory(context));
  const { tlsCert, tlsKey, tlsCa } = tlsFlags(identities, "worker");
  chmodSync(tlsKey, 0o644);
  const broken = join(identities.directory, "broken.key");
  const pem = readFileSync(tlsKey, "utf8");
  writeFileSync(broken, pem.replace(/[A-Za-z]/, "!"), { mode: 0o600 });
  const flags = (key: string) => ["--tls-cert", tlsCert, "--tls-key", key, "--tls-ca", tlsCa];

  const served = await runWorker(context, flags(tlsKey), async (address) => {
    const good = credentialsFor(identities.files("coordinator"), "worker");
    assert.equal((await rawCall(address, GET_WORKER, good)).code, "OK");
    await rawCall(address, GET_WORKER, identities.caller("client"));
    for (const stranger of identities.strangers.values()) {
      await rawCall(address, GET_WORKER, stranger);
    }
    await sleep(100);
  });
  assert.match(served.text, /warning: --tls-key: .*worker\.key: open to others \(mode 644\)/);
  assert.match(served.text, /refused 127\.0\.0\.1:\d+: .*not for role client/);
  assert.match(served.text, /server_call/, "gRPC's tracing is on");

  const failed = await runWorker(context, flags(broken), async () => assert.fail("it serves"));
  assert.equal(failed.exitCode, 2);
  assert.match(failed.text, /--tls-key: .*broken\.key: not the unencrypted PEM key of/);
  const swapped = ["--tls-cert", tlsKey, "--tls-key", tlsCert, "--tls-ca", tlsKey];
  const mixed = await runWorker(context, swapped, async () => assert.fail("it serves"));
  assert.match(mixed.text, /--tls-cert: .*worker\.key: not a PEM certificate/);

  const body = pem.replace(/-----[A-Z ]+-----/g, "").replace(/\s/g, "");
  const canaries = [
    "PRIVATE KEY",
    ...Array.from({ length: Math.floor(body.length / 16) }, (_, at) =>
      body.slice(16 * at, 16 * at + 16),
    ),
    // The bytes of a buffer, as inspect and JSON print them.
    Buffer.from(pem).subarray(0, 8).toString("hex").replace(/../g, "$& ").trim(),
    [...Buffer.from(pem).subarray(0, 8)].join(","),
  ];
  for (const { text } of [served, failed, mixed]) {
    for (const canary of canaries) assert.ok(!text.includes(canary), `found ${canary}`);
  }
});

test("--insecure lets a worker listen to all, and it warns", async (context) => {
  const { text } = await runWorker(context, ["--insecure"], async (address) => {
    const plain = credentialsFor(null, "worker");
    assert.equal((await rawCall(address, GET_WORKER, plain)).code, "OK");
  });
  assert.match(text, /graft-worker: warning: --insecure: whoever reaches 0\.0\.0\.0/);
});
