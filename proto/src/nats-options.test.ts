// How NATS is reached: addresses, logins and which servers are refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { GraftError } from "./errors.js";
import { type NatsServerFacts, natsProblem, natsSettings } from "./nats-options.js";

const settings = (nats: string, environment: Record<string, string> = {}, insecure = false) => {
  const read = natsSettings({ nats, insecure }, environment);
  assert.ok(read !== null);
  return read;
};

test("without an address there is no NATS", () => {
  assert.equal(natsSettings({}, { GRAFT_NATS: "" }), null);
});

test("several servers, a default port and IPv6 are understood", () => {
  const { servers, tls } = settings("nats://127.0.0.1:4300, localhost,[::1]:7");
  assert.deepEqual(servers, ["127.0.0.1:4300", "localhost:4222", "[::1]:7"]);
  assert.equal(tls, null);
});

const WRONG: readonly (readonly [string, string, RegExp])[] = [
  ["another scheme", "http://a:1", /--nats: expected nats:/],
  ["a port out of range", "a:70000", /--nats: expected nats:/],
  ["a login in the address", "nats://u:geheim@a:1", /no login in the address/],
];

for (const [name, address, message] of WRONG) {
  test(`${name} is refused`, () => {
    assert.throws(
      () => settings(address),
      (error) => {
        assert.ok(error instanceof GraftError);
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /geheim/);
        return true;
      },
    );
  });
}

test("a server beyond this machine is reached with TLS unless --insecure is said", () => {
  assert.deepEqual(settings("nats.example:4222", { GRAFT_NATS_CA: "ca.pem" }).tls, {
    authority: "ca.pem",
  });
  assert.equal(settings("nats.example:4222", {}, true).tls, null);
  assert.deepEqual(settings("tls://127.0.0.1:4222").tls, {});
});

test("a password does not show where settings are printed", () => {
  const read = settings("localhost", { GRAFT_NATS_USER: "u", GRAFT_NATS_PASSWORD: "geheim" });
  assert.equal(read.login.kind === "password" && read.login.password, "geheim");
  assert.doesNotMatch(`${inspect(read)}${JSON.stringify(read)}`, /geheim/);
});

test("a user without a password, and two ways to log in, are refused", () => {
  assert.throws(() => settings("localhost", { GRAFT_NATS_USER: "u" }), /without a password/);
  const two = { GRAFT_NATS_CREDS: "a", GRAFT_NATS_NKEY: "b" };
  assert.throws(() => settings("localhost", two), /only one of/);
});

const GOOD: NatsServerFacts = { version: "2.9.10", jetstream: true, auth_required: true };
const FAR = settings("nats.example:4222");

const SERVERS: readonly (readonly [string, NatsServerFacts, typeof FAR, string | undefined])[] = [
  ["one with users", GOOD, FAR, undefined],
  ["a newer one", { ...GOOD, version: "2.12.7" }, FAR, undefined],
  ["an older one", { ...GOOD, version: "2.8.4" }, FAR, "NATS_REFUSED"],
  ["one without JetStream", { version: "2.9.10", auth_required: true }, FAR, "NATS_REFUSED"],
  ["an open one far away", { version: "2.9.10", jetstream: true }, FAR, "NATS_OPEN"],
  ["an open one here", { version: "2.9.10", jetstream: true }, settings("localhost"), undefined],
  [
    "an open one far away with --insecure",
    { version: "2.9.10", jetstream: true },
    settings("nats.example", {}, true),
    undefined,
  ],
];

for (const [name, facts, from, code] of SERVERS) {
  test(`server: ${name} is ${code ?? "used"}`, () => {
    assert.equal(natsProblem(facts, from)?.code, code);
  });
}
