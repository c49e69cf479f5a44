// How the worker meets others: what it listens with, and what it connects to another worker with.
// Without TLS nobody is asked who they are: a unix socket's directory is its guard.
import * as tls from "node:tls";
import { channelCredentials, serverCredentials, type TlsFiles } from "@graft/proto";
import { type ChannelCredentials, credentials, ServerCredentials } from "@grpc/grpc-js";
import { toStatus } from "../errors.js";

export function listenCredentials(
  files: TlsFiles | null,
  log: (text: string) => void,
): ServerCredentials {
  if (files === null) return ServerCredentials.createInsecure();
  return serverCredentials(files, { toStatus, onRefusal: log });
}

/** For channels to other workers. */
export function peerCredentials(files: TlsFiles | null): ChannelCredentials {
  return files === null ? credentials.createInsecure() : channelCredentials(files, "worker", tls);
}
