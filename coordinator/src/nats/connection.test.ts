// The connection to a real nats-server: logins, refusals, and coming back after kill -9.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type GraftError, type NatsSettings, natsSettings } from "@graft/proto";
import { connectNats } from "./connection.js";
import { eventually, SKIP_WITHOUT_NATS, startTestServer } from "./server-for-tests.js";

const skip = SKIP_WITHOUT_NATS;
const USERS = `accounts { A { jetstream: enabled, users: [{ user: u, password: geheim }] } }\n`;
const LOGIN = { GRAFT_NATS_USER: "u", GRAFT_NATS_PASSWORD: "geheim" };

const failureOf = async (settings: NatsSettings): Promise<GraftError> => {
  const link = await connectNats(settings, { name: "test" }).catch((error: GraftError) => error);
  assert.ok(link instanceof Error, "connected");
  return link;
};

test("the worker has the same connection and the same test server", () => {
  for (const name of ["connection.ts", "server-for-tests.ts"]) {
    const own = new URL(`../../src/nats/${name}`, import.meta.url);
    const other = new URL(`../../../worker/src/nats/${name}`, import.meta.url);
    assert.equal(readFileSync(other, "utf8"), readFileSync(own, "utf8"));
  }
});

test("the link comes back after the server was killed", { skip }, async () => {
  await using server = await startTestServer();
  await using link = await server.connect();
  assert.ok(link.connectedSinceMs() !== undefined);
  await server.kill();
  await eventually("the loss is noticed", () => link.connectedSinceMs() === undefined);
  await server.start();
  await eventually("connected again", () => link.connectedSinceMs() !== undefined);
  await link.connection.flush();
});

test("a server that is not there is unavailable, and worth another try", { skip }, async () => {
  await using server = await startTestServer();
  await server.kill();
  const failure = await failureOf(server.settings);
  assert.equal(failure.code, "NATS_UNAVAILABLE");
  assert.match(failure.message, /try again in \d+ s/);
});

test("a server that starts later is waited for when asked", { skip }, async () => {
  await using server = await startTestServer();
  await server.kill();
  const linking = connectNats(server.settings, { name: "test", wait: true });
  await server.start();
  await using link = await linking;
  assert.ok(link.connectedSinceMs() !== undefined);
});

test("a wrong password is refused without showing it, a right one is taken", { skip }, async () => {
  await using server = await startTestServer({ config: USERS, login: LOGIN });
  await using link = await server.connect();
  assert.equal(link.connection.info?.auth_required, true);
  const address = { nats: `127.0.0.1:${server.port}` };
  const wrong = natsSettings(address, { ...LOGIN, GRAFT_NATS_PASSWORD: "falsch" });
  assert.ok(wrong !== null);
  const failure = await failureOf(wrong);
  assert.equal(failure.code, "NATS_REFUSED");
  assert.doesNotMatch(`${failure.message}${failure.stack}`, /falsch/);
});

test("a password can stand in a file", { skip }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "graft-nats-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "password");
  writeFileSync(path, "geheim\n");
  const login = { GRAFT_NATS_USER: "u", GRAFT_NATS_PASSWORD_FILE: path };
  await using server = await startTestServer({ config: USERS, login });
  await using link = await server.connect();
  assert.ok(link.connectedSinceMs() !== undefined);
});

test("a server that lets anybody in is used on this machine only", { skip }, async () => {
  for (const config of ["", `${USERS}no_auth_user: u\n`]) {
    await using server = await startTestServer({ config });
    const far = { ...server.settings, mayBeOpen: false };
    assert.equal((await failureOf(far)).code, "NATS_OPEN");
    await using _link = await server.connect();
  }
});

test("a server that is open after a restart ends the link", { skip }, async () => {
  await using server = await startTestServer();
  const users = await startTestServer({ config: USERS, login: LOGIN });
  const settings = {
    ...users.settings,
    servers: [...users.settings.servers, ...server.settings.servers],
    mayBeOpen: false,
  };
  // The link starts on the server with users, whichever the client tries first.
  await using link = await connectUntilGood(settings);
  await users[Symbol.asyncDispose]();
  await eventually("the link ends", () => link.signal.aborted);
  assert.equal(link.signal.reason.code, "NATS_OPEN");
});

async function connectUntilGood(settings: NatsSettings) {
  for (;;) {
    const link = await connectNats(settings, { name: "test" }).catch((error: GraftError) => error);
    if (!(link instanceof Error)) return link;
    assert.equal(link.code, "NATS_OPEN");
  }
}

test("a server without JetStream is refused", { skip }, async () => {
  await using server = await startTestServer({ jetstream: false });
  assert.equal((await failureOf(server.settings)).code, "NATS_REFUSED");
});
