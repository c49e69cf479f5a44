// What the coordinator and the command line connect to workers and coordinators with.
import * as tls from "node:tls";
import {
  type ChannelSecurity,
  channelSecurity,
  type ServerExpectation,
  type TlsFiles,
} from "@graft/proto";

/** Plain without files and on a unix socket. A channel is made with the credentials and the options. */
export function channelCredentials(
  files: TlsFiles | null,
  expectation: ServerExpectation,
): ChannelSecurity {
  return channelSecurity(files, expectation, tls);
}
