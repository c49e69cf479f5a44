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

const addresses = [
  "0.0.0.0:7000",
  "10.1.2.3:7000",
  "[::]:7000",
  "example.org:7000",
  "127.0.0.1",
  "127.0.0.1:70000",
  "127.0.0.1.example.org:1",
  "unix:",
  ":7000",
  "",
];

for (const address of addresses) {
  test(`the listening address "${address}" is refused`, () => {
    assert.throws(() => parseListenAddress(address), /^GraftError: --listen: /);
  });
}

test("a refusal of a remote address says why and what to use instead", () => {
  assert.throws(() => parseListenAddress("0.0.0.0:1"), /TLS.*use 127\.0\.0\.1 or unix:PATH/);
});
