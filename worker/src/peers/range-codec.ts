// ReadRangeResponse on the wire, without the copies of the generated code: those take more time than
// the digest. Same bytes as any protobuf library reads and writes.
import { ReadRangeResponse, WorkerServiceService } from "@graft/proto";

/** Field 2, length-delimited. */
const DATA_TAG = 0x12;
const EMPTY = Buffer.alloc(0);

/** WorkerService with this codec for the answers of ReadRange. */
export const FAST_WORKER_SERVICE = {
  ...WorkerServiceService,
  readRange: { ...WorkerServiceService.readRange, responseSerialize: encodeRange },
} as typeof WorkerServiceService;

/** Copies the data once. */
export function encodeRange(message: ReadRangeResponse): Buffer {
  const head = ReadRangeResponse.encode({ ...message, data: EMPTY }).finish();
  const { data } = message;
  const length = encodeVarint(data.length);
  const bytes = Buffer.allocUnsafe(head.length + 1 + length.length + data.length);
  bytes.set(head);
  bytes[head.length] = DATA_TAG;
  bytes.set(length, head.length + 1);
  bytes.set(data, head.length + 1 + length.length);
  return bytes;
}

/** `data` is a view of the given bytes. Throws on bytes that are no such message. */
export function decodeRange(bytes: Buffer): ReadRangeResponse {
  const found = findData(bytes);
  if (found === undefined) return ReadRangeResponse.decode(bytes);
  const { tagAt, start, end } = found;
  const rest = Buffer.concat([bytes.subarray(0, tagAt), bytes.subarray(end)]);
  return { ...ReadRangeResponse.decode(rest), data: bytes.subarray(start, end) };
}

interface DataField {
  readonly tagAt: number;
  readonly start: number;
  readonly end: number;
}

/** The data field, when only fields of kinds that this contract has come before it. */
function findData(bytes: Buffer): DataField | undefined {
  for (let at = 0; at < bytes.length; ) {
    const tagAt = at;
    const tag = bytes[at];
    const number = decodeVarint(bytes, at + 1);
    if (number === undefined) return undefined;
    const isDelimited = ((tag ?? 0) & 7) === 2;
    if (!isDelimited && tag !== 0x08) return undefined;
    at = number.end + (isDelimited ? number.value : 0);
    if (at > bytes.length) return undefined;
    if (tag === DATA_TAG) return { tagAt, start: number.end, end: at };
  }
  return undefined;
}

function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) + 128);
  bytes.push(left);
  return Buffer.from(bytes);
}

function decodeVarint(
  bytes: Buffer,
  start: number,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  let scale = 1;
  for (let at = start; at < Math.min(bytes.length, start + 10); at += 1) {
    const byte = bytes[at] ?? 0;
    value += (byte & 127) * scale;
    if (byte < 128) return { value, end: at + 1 };
    scale *= 128;
  }
  return undefined;
}
