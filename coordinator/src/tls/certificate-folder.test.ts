import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { checkName, initFolder, issueInto } from "./certificate-folder.js";
import { createAuthority } from "./certificates.js";
import { readTlsFiles } from "./tls-files.js";

const DAY_MS = 86_400_000;
const nowMs = Date.UTC(2030, 0, 1);
const request = { hosts: ["localhost"], days: 30, nowMs };

function temporaryFolder(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "graft-certs-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const pathsOf = (directory: string, name: string) => ({
  certificate: join(directory, `${name}.pem`),
  key: join(directory, `${name}.key`),
  authority: join(directory, "ca.pem"),
});

test("a new folder has a usable certificate per role, and keys for their owner alone", async (t) => {
  const directory = join(temporaryFolder(t), "new", "certs");
  const written = await initFolder(directory, request);
  assert.equal(written.length, 8);
  assert.deepEqual(readdirSync(directory).length, 8);
  for (const path of written.filter((name) => name.endsWith(".key"))) {
    assert.equal(statSync(path).mode & 0o777, 0o600, path);
  }
  for (const role of ["coordinator", "worker", "client"] as const) {
    const rules = { roles: [role], nowMs: () => nowMs };
    await readTlsFiles(pathsOf(directory, role), rules, (text) => assert.fail(text));
  }
});

test("nothing is overwritten, and a refusal leaves nothing behind", async (t) => {
  const directory = temporaryFolder(t);
  writeFileSync(join(directory, "client.pem"), "mine");
  const want = /client\.pem: exists already and is never overwritten/;
  await assert.rejects(initFolder(directory, request), want);
  assert.deepEqual(readdirSync(directory), ["client.pem"]);
  assert.equal(readFileSync(join(directory, "client.pem"), "utf8"), "mine");
});

test("one more certificate is of the same authority, its name is used once", async (t) => {
  const directory = temporaryFolder(t);
  await initFolder(directory, request);
  await issueInto(directory, "w2", "worker", request);
  const rules = { roles: ["worker"], nowMs: () => nowMs } as const;
  await readTlsFiles(pathsOf(directory, "w2"), rules, (text) => assert.fail(text));
  await assert.rejects(issueInto(directory, "w2", "worker", request), /w2\.key: exists already/);
});

test("an authority that is missing, expired or of another key signs nothing", async (t) => {
  const directory = temporaryFolder(t);
  const issue = (at = nowMs) => issueInto(directory, "w", "worker", { ...request, nowMs: at });
  await assert.rejects(issue(), /no authority there; make one with: coordinator certs init/);
  await initFolder(directory, request);
  await assert.rejects(issue(nowMs + 3651 * DAY_MS), /its authority has expired/);
  const other = await createAuthority({ nowMs });
  writeFileSync(join(directory, "ca.key"), other.key);
  await assert.rejects(issue(), /ca\.key: not the key of ca\.pem/);
  writeFileSync(join(directory, "ca.key"), "nonsense");
  await assert.rejects(issue(), /ca\.key: cannot be read/);
});

test("files that do not belong together are refused by flag and path", async (t) => {
  const directory = temporaryFolder(t);
  await initFolder(directory, request);
  const paths = pathsOf(directory, "worker");
  const read = (change: object, role: "worker" | "client" = "worker") =>
    readTlsFiles({ ...paths, ...change }, { roles: [role], nowMs: () => nowMs }, () => undefined);
  const key = join(directory, "client.key");
  await assert.rejects(read({ key }), /--tls-key: .*client\.key: not the unencrypted PEM key of/);
  await assert.rejects(read({ certificate: key }), /--tls-cert: .*: not a PEM certificate/);
  await assert.rejects(read({ authority: key }), /--tls-ca: .*: not a PEM certificate/);
  await assert.rejects(read({ key: join(directory, "x") }), /--tls-key: .*x: no such file/);
  await assert.rejects(read({}, "client"), /--tls-cert: .*role:client, got worker role/);
});

for (const name of ["", "ca", "../w", "a/b", ".hidden", "a b", "x".repeat(64)]) {
  test(`the name "${name}" is refused`, () => {
    assert.throws(() => checkName(name), /^GraftError: --name: expected letters/);
  });
}
