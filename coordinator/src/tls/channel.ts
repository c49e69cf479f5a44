// What the coordinator and the command line connect to workers and coordinators with: plain without
// TLS files; who may do that is decided where addresses are read.
import * as tls from "node:tls";
import { channelCredentials, type Role, type TlsFiles } from "@graft/proto";
import { type ChannelCredentials, credentials } from "@grpc/grpc-js";

/** One object for all servers of a role: it checks each by the address that it is called by. */
export function credentialsFor(files: TlsFiles | null, role: Role): ChannelCredentials {
  return files === null ? credentials.createInsecure() : channelCredentials(files, role, tls);
}
