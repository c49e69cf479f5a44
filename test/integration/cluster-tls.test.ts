// A cluster that is encrypted both ways, with the certificates that the program makes itself.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { makeSmallModels, RECIPES } from "../support/fixtures.js";
import {
  hashDirectory,
  runCli,
  temporaryDirectory,
  transcript,
  writeRecipe,
} from "../support/run.js";
import { startWorkerDaemon, workerFlags } from "../support/workers.js";

test("a cluster with certificates merges as one machine does, and without them not at all", async (context) => {
  const directory = temporaryDirectory(context);
  makeSmallModels(directory);
  const recipe = writeRecipe(directory, RECIPES.slerp(["tuned-01"]));
  const certificates = join(directory, "certs");
  const made = await runCli(["certs", "init", certificates, "--host", "localhost"]);
  assert.equal(made.exitCode, 0, transcript(made));
  const tls = (name: string): string[] => [
    ...["--tls-cert", join(certificates, `${name}.pem`)],
    ...["--tls-key", join(certificates, `${name}.key`)],
    ...["--tls-ca", join(certificates, "ca.pem")],
  ];
  const start = () => startWorkerDaemon(context, { args: tls("worker") });
  const workers = workerFlags(await Promise.all([start(), start()]));
  const submit = (out: string, flags: readonly string[]) =>
    runCli(["submit", recipe, "--out", join(directory, out), ...flags]);

  const alone = await submit("alone", []);
  assert.equal(alone.exitCode, 0, transcript(alone));
  const together = await submit("together", [...workers, ...tls("coordinator")]);
  assert.equal(together.exitCode, 0, transcript(together));
  assert.deepEqual(
    hashDirectory(join(directory, "together")),
    hashDirectory(join(directory, "alone")),
  );

  const plain = await submit("plain", workers);
  assert.equal(plain.exitCode, 4, transcript(plain));
  const asClient = await submit("as-client", [...workers, ...tls("client")]);
  assert.equal(asClient.exitCode, 2, transcript(asClient));
  assert.match(asClient.stderr, /--tls-cert: .*expected .*graft:role:coordinator, got client role/);
});
