import assert from "node:assert/strict";
import { test } from "node:test";
import { checkIdentity } from "./tls-identity.js";

const paths = { certificate: "w.pem", key: "w.key", authority: "ca.pem" };
const facts = {
  alternativeNames: "URI:graft:role:worker",
  validFromMs: 1000,
  validToMs: 2000,
  keyMode: 0o100600,
};
const rules = { roles: ["worker"], nowMs: 1500 } as const;

test("a private key and a valid certificate of the right role give no warning", () => {
  assert.deepEqual(checkIdentity(paths, facts, rules), []);
});

for (const [name, change, nowMs, want] of [
  ["a key its group may read", { keyMode: 0o100640 }, 1500, /w\.key: open.*640.*chmod 600 w\.key$/],
  ["a key everybody may read", { keyMode: 0o100604 }, 1500, /mode 604/],
  ["a certificate of tomorrow", {}, 999, /w\.pem: not valid before 1970-01-01T00:00:01\.000Z$/],
  ["a certificate of yesterday", {}, 2001, /w\.pem: expired on 1970-01-01T00:00:02\.000Z$/],
] as const) {
  test(`${name} gives a warning`, () => {
    const warnings = checkIdentity(paths, { ...facts, ...change }, { ...rules, nowMs });
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", want);
  });
}

for (const [alternativeNames, want] of [
  [
    "URI:graft:role:client",
    /^GraftError: --tls-cert: w\.pem: expected .*role:worker, got client role$/,
  ],
  ["DNS:localhost", /got no role$/],
] as const) {
  test(`a worker with the names ${alternativeNames} is refused`, () => {
    assert.throws(() => checkIdentity(paths, { ...facts, alternativeNames }, rules), want);
  });
}
