// One RPC as bytes: an empty message, whatever the method is. On the wire every kind of call is a
// stream, so one way of calling serves all methods of all services.
import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type StatusObject,
  status,
} from "@grpc/grpc-js";

const DEADLINE_MS = 5_000;
const OWN_CONNECTION: ChannelOptions = {
  // A connection of its own: no call rides on another's handshake.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
};

/** For credentials that would send an IP address as the server's name, at which Node warns. */
const CALLED_LOCALHOST: ChannelOptions = { "grpc.ssl_target_name_override": "localhost" };

const same = (bytes: Buffer): Buffer => bytes;

export interface CallEnd {
  /** Name of the gRPC status that the caller sees; a stream that answers counts as OK. */
  readonly code: string;
  readonly details: string;
}

export async function rawCall(
  address: string,
  path: string,
  credentials: ChannelCredentials,
  options = CALLED_LOCALHOST,
): Promise<CallEnd> {
  const client = new Client(address, credentials, { ...OWN_CONNECTION, ...options });
  try {
    return await new Promise((resolve) => {
      const call = client.makeBidiStreamRequest(path, same, same, {
        deadline: Date.now() + DEADLINE_MS,
      });
      call.on("status", ({ code, details }: StatusObject) => {
        resolve({ code: status[code] ?? String(code), details });
      });
      // A status that is not OK comes as an error too.
      call.on("error", () => undefined);
      call.on("data", () => {
        resolve({ code: "OK", details: "answered" });
        call.cancel();
      });
      call.write(Buffer.alloc(0));
      call.end();
    });
  } finally {
    client.close();
  }
}
