import assert from "node:assert/strict";
import { test } from "node:test";
import { type ErrorCode, GraftError } from "@graft/proto";
import { parseListenAddress, readConfig } from "./config.js";

const MIB = 1024 * 1024;
const LISTEN = "unix:/tmp/graft/worker.sock";

test("defaults are complete and the result is frozen", () => {
  const config = readConfig({ listen: LISTEN }, {});
  assert.deepEqual(config.listen, { kind: "unix", path: "/tmp/graft/worker.sock" });
  assert.equal(config.private, false);
  assert.ok(config.threadCount >= 1);
  assert.equal(config.memoryBytes, 4096 * MIB);
  assert.equal(config.bufferBytesMax, (4096 - 160) * MIB);
  assert.equal(config.isa, undefined);
  assert.equal(config.tileBytes, undefined);
  assert.equal(config.directIo, true);
  assert.ok(Object.isFrozen(config));
});

test("flags and environment are taken over", () => {
  const config = readConfig(
    { listen: "[::1]:7000", private: true, threads: "3", memory: String(1024 * MIB) },
    { GRAFT_ISA: "scalar", GRAFT_TILE_BYTES: String(2 * MIB), GRAFT_DIRECTIO: "0" },
  );
  assert.deepEqual(config.listen, { kind: "tcp", host: "::1", port: 7000 });
  assert.equal(config.threadCount, 3);
  assert.equal(config.memoryBytes, 1024 * MIB);
  assert.equal(config.isa, "scalar");
  assert.equal(config.tileBytes, 2 * MIB);
  assert.equal(config.directIo, false);
});

const caches: readonly [string, Parameters<typeof readConfig>, unknown][] = [
  ["none on a socket", [{ listen: LISTEN }, { HOME: "/srv/u" }], null],
  ["none at any port", [{ listen: "127.0.0.1:0" }, { HOME: "/srv/u" }], null],
  ["none without a home", [{ listen: "127.0.0.1:7000" }, {}], null],
  [
    "one per port in the user's cache",
    [{ listen: "127.0.0.1:7000" }, { HOME: "/srv/u" }],
    { directory: "/srv/u/.cache/graft/worker-7000", bytesMax: null },
  ],
  [
    "one where the flag says, of the size it says",
    [{ listen: LISTEN, cacheDir: "/data/c", cacheSize: "2GiB" }, { XDG_CACHE_HOME: "/x" }],
    { directory: "/data/c", bytesMax: 2048 * MIB },
  ],
];

for (const [name, args, want] of caches) {
  test(`the cache is ${name}`, () => assert.deepEqual(readConfig(...args).cache, want));
}

const refused: readonly [string, Parameters<typeof readConfig>, ErrorCode, RegExp][] = [
  ["threads 0", [{ listen: LISTEN, threads: "0" }, {}], "FLAG", /^--threads: .*got "0"$/],
  ["threads as a word", [{ listen: LISTEN, threads: "all" }, {}], "FLAG", /got "all"$/],
  ["memory with a unit", [{ listen: LISTEN, memory: "4GiB" }, {}], "FLAG", /^--memory: .*"4GiB"$/],
  [
    "memory below the minimum",
    [{ listen: LISTEN, memory: String(100 * MIB) }, {}],
    "MEMORY_TOO_SMALL",
    /^--memory 100 MiB: this merge needs at least 192 MiB/,
  ],
  [
    "an odd tile",
    [{ listen: LISTEN }, { GRAFT_TILE_BYTES: "1500000" }],
    "FLAG",
    /^GRAFT_TILE_BYTES/,
  ],
  [
    "a cache of no size",
    [{ listen: LISTEN, cacheDir: "/c", cacheSize: "much" }, {}],
    "FLAG",
    /^--cache-size: expected a size like 500GiB, got "much"$/,
  ],
  [
    "the size of no cache",
    [{ listen: LISTEN, cacheSize: "5G" }, {}],
    "FLAG",
    /^--cache-size: needs --cache-dir too$/,
  ],
  ["an unclear switch", [{ listen: LISTEN }, { GRAFT_DIRECTIO: "off" }], "FLAG", /expected 0 or 1/],
];

for (const [name, args, code, want] of refused) {
  test(`${name} is refused`, () => {
    assert.throws(
      () => readConfig(...args),
      (error) => error instanceof GraftError && error.code === code && want.test(error.message),
    );
  });
}

const addresses = ["127.0.0.1", "127.0.0.1:70000", "unix:", ":7000", ""];

for (const address of addresses) {
  test(`the listening address "${address}" is refused`, () => {
    assert.throws(() => parseListenAddress(address), /^GraftError: --listen: /);
  });
}

const TLS = { tlsCert: "w.pem", tlsKey: "w.key", tlsCa: "ca.pem" };
const TLS_VARIABLES = { GRAFT_TLS_CERT: "w.pem", GRAFT_TLS_KEY: "w.key", GRAFT_TLS_CA: "ca.pem" };
const PATHS = { certificate: "w.pem", key: "w.key", authority: "ca.pem" };

for (const listen of [
  "0.0.0.0:1",
  "10.1.2.3:1",
  "[::]:1",
  "a.example:1",
  "127.0.0.1.a.example:1",
]) {
  test(`${listen} needs TLS or --insecure`, () => {
    const want = /^GraftError: --listen: .* not a loopback .*--tls-cert, --tls-key .*--insecure/;
    assert.throws(() => readConfig({ listen }, {}), want);
    assert.deepEqual(readConfig({ listen, ...TLS }, {}).tls, PATHS);
    assert.deepEqual(readConfig({ listen }, TLS_VARIABLES).tls, PATHS);
    assert.equal(readConfig({ listen, insecure: true }, {}).tls, null);
  });
}

test("on this machine's own address TLS is a choice", () => {
  assert.equal(readConfig({ listen: "127.0.0.1:0" }, {}).tls, null);
  assert.deepEqual(readConfig({ listen: "127.0.0.1:0" }, TLS_VARIABLES).tls, PATHS);
});

test("a unix socket has no TLS, whatever the coordinator's variables say", () => {
  assert.equal(readConfig({ listen: LISTEN }, TLS_VARIABLES).tls, null);
  const want = /^GraftError: --tls-cert: a unix socket .*use HOST:PORT$/;
  assert.throws(() => readConfig({ listen: LISTEN, ...TLS }, {}), want);
});

test("TLS flags come all together", () => {
  const flags = { listen: "0.0.0.0:1", ...TLS, tlsCa: undefined };
  assert.throws(() => readConfig(flags, {}), /^GraftError: --tls-ca: missing/);
});
