// A server with every method of the contract, whose handlers do nothing but count: what is refused must
// neither be decoded nor reach one. The methods come from the generated services.
import { promisify } from "node:util";
import { CoordinatorServiceService, WorkerServiceService } from "@graft/proto";
import { Server, type ServerCredentials } from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";

interface Method {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

const methodsOf = (...services: readonly Readonly<Record<string, Method>>[]): readonly Method[] =>
  services.flatMap((service) => Object.values(service));

export const WORKER_PATHS = methodsOf(WorkerServiceService, healthService).map(({ path }) => path);

const METHODS = methodsOf(WorkerServiceService, CoordinatorServiceService, healthService);
export const PATHS = METHODS.map(({ path }) => path);

/** Served like the others, but no table of roles knows it. */
export const UNLISTED_PATH = "/graft.v1.WorkerService/NotInTheTable";

export interface CountingServer {
  /** HOST:PORT. */
  readonly address: string;
  /** Messages decoded plus handlers run since this was last asked. */
  taken(): number;
  stop(): void;
}

export async function startCountingServer(
  credentials: ServerCredentials,
  listen = "127.0.0.1:0",
): Promise<CountingServer> {
  let count = 0;
  const server = new Server();
  const empty = Buffer.alloc(0);
  const encode = (): Buffer => empty;
  const decode = (bytes: Buffer): Buffer => {
    count += 1;
    return bytes;
  };
  const answer = (call: object, callback?: (error: null, value: Buffer) => void): void => {
    count += 1;
    if (callback !== undefined) callback(null, empty);
    else if ("end" in call && typeof call.end === "function") call.end();
  };
  const unlisted = { path: UNLISTED_PATH, requestStream: false, responseStream: false };
  for (const { path, requestStream, responseStream } of [...METHODS, unlisted]) {
    const coding = { requestSerialize: encode, responseSerialize: encode };
    const decoding = { requestDeserialize: decode, responseDeserialize: decode };
    const method = { path, requestStream, responseStream, ...coding, ...decoding };
    server.addService({ method }, { method: answer });
  }
  const port = await promisify(server.bindAsync.bind(server))(listen, credentials);
  return {
    address: listen.startsWith("unix:") ? listen : `127.0.0.1:${port}`,
    taken() {
      const taken = count;
      count = 0;
      return taken;
    },
    stop: () => server.forceShutdown(),
  };
}
