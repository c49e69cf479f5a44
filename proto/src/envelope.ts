// Seals and opens what travels over NATS. The broker's storage is not believed: a message carries our
// own checksum and says what it is, so that a flipped bit, a cut one, or an event where a claim should
// be is told from a message and ignored.
import {
  DeadLetter,
  Envelope,
  JobClaim,
  JobEvent,
  QueuedJob,
  WorkerHeartbeat,
} from "./gen/graft/v1/control.js";

/** Messages above this are refused on both sides; weights never ride on NATS. */
export const MESSAGE_BYTES_MAX = 64 * 1024;

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

export interface MessageKind<T> {
  readonly kind: string;
  readonly codec: Codec<T>;
}

export const MESSAGES = {
  heartbeat: { kind: "worker-heartbeat", codec: WorkerHeartbeat },
  queuedJob: { kind: "queued-job", codec: QueuedJob },
  claim: { kind: "job-claim", codec: JobClaim },
  event: { kind: "job-event", codec: JobEvent },
  deadLetter: { kind: "dead-letter", codec: DeadLetter },
} as const;

/** Does not check the size: the caller knows what to do about a message that is too large. */
export function sealMessage<T>({ kind, codec }: MessageKind<T>, message: T): Uint8Array {
  const payload = codec.encode(message).finish();
  const checksum = checksumOf(kind, payload);
  return Envelope.encode({ kind, payload: Buffer.from(payload), checksum }).finish();
}

/** undefined for anything that was not sealed as this kind, whatever the reason. */
export function openMessage<T>({ kind, codec }: MessageKind<T>, bytes: Uint8Array): T | undefined {
  if (bytes.length > MESSAGE_BYTES_MAX) return undefined;
  try {
    const envelope = Envelope.decode(bytes);
    if (envelope.kind !== kind) return undefined;
    if (envelope.checksum !== checksumOf(kind, envelope.payload)) return undefined;
    return codec.decode(envelope.payload);
  } catch {
    // Not protobuf at all: the same to the caller as a wrong checksum.
    return undefined;
  }
}

/** Reversed polynomial of CRC-32C, as iSCSI and ext4 use it. */
const CASTAGNOLI = 0x82f63b78;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = (rest >>> 1) ^ (rest & 1 ? CASTAGNOLI : 0);
  return rest;
});

/** CRC-32C of the parts in order, as an unsigned number. */
export function crc32c(...parts: readonly Uint8Array[]): number {
  let rest = 0xffffffff;
  for (const part of parts) {
    for (const byte of part) rest = (TABLE[(rest ^ byte) & 0xff] ?? 0) ^ (rest >>> 8);
  }
  return (rest ^ 0xffffffff) >>> 0;
}

const ZERO = Uint8Array.of(0);

function checksumOf(kind: string, payload: Uint8Array): number {
  return crc32c(new TextEncoder().encode(kind), ZERO, payload);
}
