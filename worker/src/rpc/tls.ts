// How the worker meets others: what it listens with, and what it connects to another worker with.
import * as tls from "node:tls";
import {
  type ChannelSecurity,
  channelSecurity,
  serverCredentials,
  type TlsFiles,
} from "@graft/proto";
import { ServerCredentials } from "@grpc/grpc-js";
import { toStatus } from "../errors.js";

/** Without TLS nobody is asked who they are: a unix socket's directory is its guard. */
export function listenCredentials(
  files: TlsFiles | null,
  log: (text: string) => void,
): ServerCredentials {
  if (files === null) return ServerCredentials.createInsecure();
  return serverCredentials(files, { toStatus, onRefusal: log });
}

/** For a channel to another worker at HOST:PORT. */
export function peerSecurity(files: TlsFiles | null, address: string): ChannelSecurity {
  return channelSecurity(files, { address, role: "worker" }, tls);
}
