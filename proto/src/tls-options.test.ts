import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { GraftError } from "./errors.js";
import { sealTlsFiles } from "./server-credentials.js";
import { checkExposure, type TlsFlags, tlsPaths } from "./tls-options.js";

const FLAGS = { tlsCert: "a.pem", tlsKey: "a.key", tlsCa: "ca.pem" };
const ENVIRONMENT = { GRAFT_TLS_CERT: "b.pem", GRAFT_TLS_KEY: "b.key", GRAFT_TLS_CA: "cb.pem" };

test("flags win over the environment, file by file", () => {
  assert.equal(tlsPaths({}, {}), null);
  assert.equal(tlsPaths({ insecure: true }, { GRAFT_TLS_KEY: "" }), null);
  assert.deepEqual(tlsPaths({ tlsKey: "a.key" }, ENVIRONMENT), {
    certificate: "b.pem",
    key: "a.key",
    authority: "cb.pem",
  });
});

const refused: readonly [string, TlsFlags, Record<string, string>, RegExp][] = [
  ["a certificate alone", { tlsCert: "a" }, {}, /^--tls-key: missing, but --tls-cert is given/],
  ["no authority", { ...FLAGS, tlsCa: undefined }, {}, /^--tls-ca: missing.*GRAFT_TLS_CA/],
  ["a key alone in the environment", {}, { GRAFT_TLS_KEY: "k" }, /^--tls-cert: missing/],
  ["--insecure besides", { ...FLAGS, insecure: true }, {}, /^--insecure: contradicts --tls-cert/],
  ["--insecure besides variables", { insecure: true }, ENVIRONMENT, /contradicts.*GRAFT_TLS_CERT/],
];

for (const [name, flags, environment, want] of refused) {
  test(`TLS with ${name} is refused`, () => {
    assert.throws(
      () => tlsPaths(flags, environment),
      (error) => error instanceof GraftError && error.code === "FLAG" && want.test(error.message),
    );
  });
}

test("an address beyond this machine needs TLS or --insecure, and the refusal names the flags", () => {
  const tls = tlsPaths(FLAGS, {});
  checkExposure("--listen", "0.0.0.0", { tls });
  checkExposure("--listen", "0.0.0.0", { tls: null, insecure: true });
  for (const host of ["127.0.0.1", "::1", "localhost"]) {
    checkExposure("--listen", host, { tls: null });
  }
  for (const host of ["0.0.0.0", "::", "10.1.2.3", "example.org", "127.0.0.1.example.org"]) {
    const want = /^GraftError: --listen: .*--tls-cert, --tls-key and --tls-ca.* --insecure/;
    assert.throws(() => checkExposure("--listen", host, { tls: null }), want);
  }
});

test("a key is not in what is printed or copied of the TLS files", () => {
  const text = "-----BEGIN PRIVATE KEY-----";
  const [certificate, authority, key] = [Buffer.from("c"), Buffer.from("a"), Buffer.from(text)];
  const files = sealTlsFiles({ certificate, authority, key });
  assert.equal(files.key.toString(), text);
  const copy = { ...files };
  for (const shown of [inspect(files, { depth: 9 }), JSON.stringify(files), inspect(copy)]) {
    assert.ok(!shown.includes("key") && !shown.includes(key.toString("hex").slice(0, 8)), shown);
  }
});
