// The worker package's public face, for suites that start a worker inside their own process.
export { type ListenAddress, readConfig, type WorkerConfig, type WorkerFlags } from "./config.js";
export { startWorker, type Worker } from "./rpc/server.js";
