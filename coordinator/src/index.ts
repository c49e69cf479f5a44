// The coordinator as a library: the merge behind the command line, for programs and tests.
export { type Config, readConfig } from "./config.js";
export type { MergeEvent, OnEvent, Stage } from "./jobs/events.js";
export { type MergeControl, type MergeOptions, runMerge } from "./jobs/merge.js";
export type { MergeSummary, StageTime, StorageSpeed } from "./jobs/summary.js";
export { type VerifyOptions, type VerifyReport, verifyOutput } from "./jobs/verify.js";
export {
  createPrivateWorker,
  type PrivateWorker,
  type PrivateWorkerOptions,
} from "./rpc/private-worker.js";
export { createFleet, type Fleet, type FleetDecision, type FleetEvent } from "./schedule/fleet.js";
export type { Decision, ScheduledTask, TaskFailure } from "./schedule/protocol.js";
export {
  type ClientOptions,
  type CoordinatorClient,
  connectCoordinator,
} from "./serve/client.js";
export { newJobId } from "./serve/job-id.js";
export { type CertificateRequest, initFolder, issueInto } from "./tls/certificate-folder.js";
export { credentialsFor } from "./tls/channel.js";
export { readTlsFiles, type TlsRules } from "./tls/tls-files.js";
