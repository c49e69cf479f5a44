// coordinator certs as a user meets it: what it writes, what it prints, what it refuses.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runCli, temporaryDirectory, transcript } from "../support/run.js";

test("certs init writes the files, prints a command per role and no key", async (context) => {
  const directory = join(temporaryDirectory(context), "certs");
  const result = await runCli(["certs", "init", directory, "--host", "w1.lan", "--days", "7"]);
  assert.equal(result.exitCode, 0, transcript(result));
  for (const [role, command] of [
    ["worker", "graft-worker --listen HOST:PORT"],
    ["coordinator", "coordinator serve"],
    ["client", "coordinator submit recipe.yaml"],
  ] as const) {
    const file = (name: string): string => join(directory, name);
    const flags = `--tls-cert ${file(`${role}.pem`)} --tls-key ${file(`${role}.key`)}`;
    const line = result.stdout.split("\n").find((text) => text.includes(command));
    assert.ok(line?.includes(`${flags} --tls-ca ${file("ca.pem")}`), transcript(result));
  }
  const { subjectAltName, validTo } = new X509Certificate(
    readFileSync(join(directory, "worker.pem")),
  );
  assert.match(subjectAltName ?? "", /^URI:graft:role:worker, DNS:w1\.lan, DNS:localhost/);
  assert.ok(Math.abs(Date.parse(validTo) - Date.now() - 7 * 86_400_000) < 3_600_000);
  const keys = readdirSync(directory).filter((name) => name.endsWith(".key"));
  assert.equal(keys.length, 4);
  for (const name of keys) {
    assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
    const [, body = ""] = readFileSync(join(directory, name), "utf8").split("\n");
    assert.ok(body.length > 16 && !transcript(result).includes(body), name);
  }

  const more = ["certs", "issue", directory, "--role", "worker", "--name", "w2", "--json"];
  const issued = await runCli(more);
  const { files } = JSON.parse(issued.stdout);
  assert.deepEqual(files, [join(directory, "w2.key"), join(directory, "w2.pem")]);
  const again = await runCli(more);
  assert.equal(again.exitCode, 2);
  assert.match(again.stderr, /w2\.key: exists already and is never overwritten/);
});

const wrong: readonly [string, readonly string[], RegExp][] = [
  ["an unknown role", ["--role", "admin", "--name", "a"], /--role: expected one of coordinator, /],
  ["a path as name", ["--role", "worker", "--name", "../a"], /--name: expected letters/],
  ["a host with a blank", ["--role", "worker", "--name", "a", "--host", "a b"], /--host: .*"a b"/],
  ["no days", ["--role", "worker", "--name", "a", "--days", "0"], /--days: .*\[1, 3650\]/],
  ["no authority", ["--role", "worker", "--name", "a"], /no authority there; .*certs init/],
];

for (const [name, flags, want] of wrong) {
  test(`certs issue with ${name} is bad input and writes nothing`, async (context) => {
    const directory = temporaryDirectory(context);
    const result = await runCli(["certs", "issue", directory, ...flags]);
    assert.equal(result.exitCode, 2, transcript(result));
    assert.match(result.stderr, want);
    assert.deepEqual(readdirSync(directory), []);
  });
}
