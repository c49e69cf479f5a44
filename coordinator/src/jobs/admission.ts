// Whether a worker that somebody else started may take part: same build, same files, same output
// directory. All of it is tried, not asked: a path says nothing about what is mounted there.
import { createHash, randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GraftError, type WeightFile } from "@graft/proto";
import type { WorkerClient } from "../rpc/worker-client.js";
import { fileError } from "./durable-file.js";
import { mapBounded } from "./map-bounded.js";

export interface AdmissionOptions {
  /** What the plan was made for. */
  readonly kernelVersion: string;
  readonly inputs: readonly WeightFile[];
  readonly outputDirectory: string;
  readonly signal: AbortSignal;
}

/** Of one worker; each is a small round trip. */
const FILES_AT_ONCE = 8;
const NONCE_BYTES = 32;

/** Why the worker can not run tasks of this merge, or null. Rejects when it cannot be asked. */
export async function refusalOf(
  client: WorkerClient,
  { kernelVersion, inputs, outputDirectory, signal }: AdmissionOptions,
): Promise<string | null> {
  const facts = await client.getWorker({ signal });
  if (facts.kernelVersion !== kernelVersion) {
    return `its kernels are of version ${facts.kernelVersion}, the plan needs ${kernelVersion}`;
  }
  const problems = await mapBounded(inputs, FILES_AT_ONCE, (file) =>
    problemOf(client.probeFile(file, { signal })),
  );
  const unseen = problems.find((problem) => problem !== null);
  if (unseen !== undefined) return unseen;
  return (await seesDirectory(client, outputDirectory, signal))
    ? null
    : `does not see the output directory ${outputDirectory}`;
}

/** A file with a secret of this moment in it, which the worker must find. */
async function seesDirectory(
  client: WorkerClient,
  directory: string,
  signal: AbortSignal,
): Promise<boolean> {
  const nonce = randomBytes(NONCE_BYTES);
  const name = `.${nonce.toString("hex", 0, 8)}.nonce`;
  const path = join(directory, name);
  await writeFile(path, nonce, { flag: "wx" }).catch((error: unknown) => {
    throw fileError(path, "write", error);
  });
  try {
    const { sha256 } = await client.digestFile(
      { directory, name, sha256: true, spans: [] },
      { signal },
    );
    return sha256 === createHash("sha256").update(nonce).digest("hex");
  } catch (error) {
    if (GraftError.from(error).code === "WORKER_LOST") throw error;
    return false;
  } finally {
    await rm(path, { force: true });
  }
}

async function problemOf(call: Promise<void>): Promise<string | null> {
  try {
    await call;
    return null;
  } catch (error) {
    const { code, message } = GraftError.from(error);
    if (code === "WORKER_LOST" || code === "CANCELLED") throw error;
    return message;
  }
}
