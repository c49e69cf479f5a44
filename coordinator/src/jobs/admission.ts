// Whether a worker that somebody else started may take part: same build, same files, same output
// directory. All of it is tried, not asked: a path says nothing about what is mounted there.
import { createHash, randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GraftError, type WeightFile } from "@graft/proto";
import type { WorkerClient } from "../rpc/worker-client.js";
import type { Member } from "../rpc/workers.js";
import { fileError } from "./durable-file.js";
import { mapBounded } from "./map-bounded.js";

export interface AdmissionOptions {
  /** What the plan was made for. */
  readonly kernelVersion: string;
  readonly inputs: readonly WeightFile[];
  /** Paths of input files to the workers that have them. */
  readonly holders: Holders;
  readonly outputDirectory: string;
  readonly signal: AbortSignal;
}

/** Of one worker; each is a small round trip. */
const FILES_AT_ONCE = 8;
const NONCE_BYTES = 32;

/** Why the worker can not run tasks of this merge, or null. Rejects when it cannot be asked. */
export async function refusalOf(
  client: WorkerClient,
  { kernelVersion, inputs, holders, outputDirectory, signal }: AdmissionOptions,
): Promise<string | null> {
  const facts = await client.getWorker({ signal });
  if (facts.kernelVersion !== kernelVersion) {
    return `its kernels are of version ${facts.kernelVersion}, the plan needs ${kernelVersion}`;
  }
  const problems = await problemsOf(client, inputs, signal);
  for (const [path, problem] of problems) {
    if (!facts.caches) return `${problem} (it could pull the file, with --cache-dir)`;
    if ((holders.get(path) ?? []).length === 0) return `${problem}, nor on any other worker`;
  }
  return (await seesDirectory(client, outputDirectory, signal))
    ? null
    : `does not see the output directory ${outputDirectory}`;
}

export type Holders = ReadonlyMap<string, readonly string[]>;

export interface SurveyOptions {
  readonly members: readonly Member[];
  readonly inputs: readonly WeightFile[];
  readonly signal: AbortSignal;
}

/**
 * Which workers have which input files, of those that answer now; only files that some of them lack
 * are told. Costs one round trip per file and worker.
 */
export async function surveyHolders(options: SurveyOptions): Promise<Holders> {
  const { members, inputs, signal } = options;
  const seen = await Promise.all(
    members.map(async (member) => {
      try {
        return await problemsOf(await member.answering(), inputs, signal);
      } catch {
        signal.throwIfAborted();
        // It is asked again when it wants to take part.
        return null;
      }
    }),
  );
  const holders = new Map<string, readonly string[]>();
  for (const { path } of inputs) {
    const having = members.filter((_, index) => seen[index]?.has(path) === false);
    if (having.length < members.length)
      holders.set(
        path,
        having.map(({ name }) => name),
      );
  }
  return holders;
}

/** What is wrong with input files on a worker, by path. */
async function problemsOf(
  client: WorkerClient,
  inputs: readonly WeightFile[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const problems = await mapBounded(inputs, FILES_AT_ONCE, (file) =>
    problemOf(client.probeFile(file, { signal })),
  );
  return new Map(
    inputs.flatMap(({ path }, index) => {
      const problem = problems[index] ?? null;
      return problem === null ? [] : [[path, problem] as const];
    }),
  );
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
