// coordinator serve: takes jobs over gRPC until it is told to stop. Jobs outlive it: what was running
// goes on at the next start.
import { resolve } from "node:path";
import { checkExposure, serverCredentials, type TlsFlags, tlsPaths } from "@graft/proto";
import { GraftError } from "@graft/proto/errors";
import { ServerCredentials } from "@grpc/grpc-js";
import { createRemoteWorkers } from "../rpc/remote-workers.js";
import { toStatus } from "../serve/adapt.js";
import { ADDRESS_DEFAULT, parseHostPort } from "../serve/connect.js";
import { createRoster } from "../serve/roster.js";
import { createPlanJob, createRunJob, type OpenWorkers } from "../serve/run-job.js";
import { startCoordinator } from "../serve/server.js";
import { credentialsFor } from "../tls/channel.js";
import { readTlsFiles } from "../tls/tls-files.js";
import { parseAddresses, parseSize, parseThreads } from "./flags.js";
import { startWorkers, type WorkerFlags } from "./merge-flags.js";
import { runSession, type Session } from "./session.js";

export interface ServeFlags extends WorkerFlags, TlsFlags {
  readonly json?: boolean;
  readonly listen?: string;
  readonly state: string;
  readonly jobsAtOnce?: string;
}

const JOBS_AT_ONCE_DEFAULT = "1";

export function serve(flags: ServeFlags): Promise<void> {
  return runSession({ json: flags.json ?? false }, (session) => runCoordinator(session, flags));
}

export async function runCoordinator(session: Session, flags: ServeFlags): Promise<number> {
  const { listen = ADDRESS_DEFAULT, insecure = false, jobsAtOnce = JOBS_AT_ONCE_DEFAULT } = flags;
  const log = (text: string): void => void process.stderr.write(`${text}\n`);
  const { host } = parseHostPort("--listen", listen, 0);
  const tls = tlsPaths(flags, process.env);
  checkExposure("--listen", host, { tls, insecure });
  const rules = { roles: ["coordinator"], nowMs: Date.now } as const;
  const files = tls === null ? null : await readTlsFiles(tls, rules, log);
  const addresses = parseAddresses("--worker", flags.worker ?? [], insecure || files !== null);
  const credentials = credentialsFor(files, "worker");
  const openWorkers: OpenWorkers = async () =>
    addresses.length > 0
      ? createRemoteWorkers({ addresses, credentials })
      : startWorkers(checkedBounds(flags), session.config);
  checkedBounds(flags);
  const roster = createRoster({ addresses, credentials });
  const { leaseTtlMs } = session.config;
  await using coordinator = await startCoordinator({
    listen,
    credentials:
      files === null
        ? ServerCredentials.createInsecure()
        : serverCredentials(files, { toStatus, onRefusal: log }),
    stateDirectory: resolve(flags.state),
    jobsAtOnce: parseThreads("--jobs-at-once", jobsAtOnce),
    runJob: createRunJob({ openWorkers, roster, leaseTtlMs }),
    planJob: createPlanJob(openWorkers),
    ...{ roster, log },
  });
  const address = listen.replace(/\d+$/, String(coordinator.port));
  const state = resolve(flags.state);
  if (session.json) session.printJson({ kind: "listening", address, state, pid: process.pid });
  else session.print(`listening on ${address}, jobs in ${state}\n`);
  await stopped(session.signal);
  return 0;
}

/** Wrong bounds are told when it starts, not by the first job. */
function checkedBounds({ worker = [], memory, threads }: ServeFlags): WorkerFlags {
  if (memory !== undefined) parseSize("--memory", memory);
  if (threads !== undefined) parseThreads("--threads", threads);
  const given = memory === undefined ? "--threads" : "--memory";
  if (worker.length > 0 && (memory ?? threads) !== undefined) {
    const problem = "belongs to the worker, not with --worker";
    throw new GraftError("FLAG", { flag: given, problem });
  }
  return {
    ...(memory === undefined ? {} : { memory }),
    ...(threads === undefined ? {} : { threads }),
  };
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done();
    signal.addEventListener("abort", () => done(), { once: true });
  });
}
