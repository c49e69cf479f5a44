import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { createAuthority, issueCertificate } from "./certificates.js";

const DAY_MS = 86_400_000;
const nowMs = Date.UTC(2030, 0, 1);
const options = {
  name: "w1",
  role: "worker",
  hosts: ["w1.lan", "10.0.0.7"],
  days: 30,
  nowMs,
} as const;

test("a certificate names its role and hosts and is signed by the authority", async () => {
  const authority = await createAuthority({ nowMs });
  const pair = await issueCertificate(authority, options);
  const certificate = new X509Certificate(pair.certificate);
  assert.equal(certificate.subject, "CN=w1");
  assert.equal(
    certificate.subjectAltName,
    "URI:graft:role:worker, DNS:w1.lan, IP Address:10.0.0.7",
  );
  assert.ok(certificate.verify(new X509Certificate(authority.certificate).publicKey));
  assert.ok(certificate.checkPrivateKey(createPrivateKey(pair.key)));
  assert.equal(certificate.ca, false);
  assert.deepEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  assert.equal(Date.parse(certificate.validTo), nowMs + 30 * DAY_MS);
  assert.ok(Date.parse(certificate.validFrom) < nowMs);
});

test("a client's certificate cannot be a server's, and no two have the same serial number", async () => {
  const authority = await createAuthority({ nowMs });
  const certificates = await Promise.all(
    [1, 2].map(() => issueCertificate(authority, { ...options, role: "client", hosts: [] })),
  );
  const [one, two] = certificates.map(({ certificate }) => new X509Certificate(certificate));
  assert.deepEqual(one?.keyUsage, ["1.3.6.1.5.5.7.3.2"]);
  assert.notEqual(one?.serialNumber, two?.serialNumber);
});

test("no certificate outlives the authority", async () => {
  const authority = await createAuthority({ nowMs });
  const late = { ...options, nowMs: nowMs + 3640 * DAY_MS };
  const { certificate } = await issueCertificate(authority, late);
  const ends = new X509Certificate(authority.certificate).validTo;
  assert.equal(new X509Certificate(certificate).validTo, ends);
});
