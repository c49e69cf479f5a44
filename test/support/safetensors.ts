// A small reader and writer of safetensors, independent of the product's parser. Trusts its input:
// it reads what tests wrote or what the product claims is correct, and throws on nonsense.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { BF16, F16, fromBits, toBits } from "./float-formats.js";

export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export type Tensors = Map<string, StoredTensor>;

export const DTYPE_SIZE_BYTES: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
};

export function dtypeSizeBytes(dtype: string): number {
  const size = DTYPE_SIZE_BYTES[dtype];
  if (size === undefined) throw new Error(`unknown dtype ${dtype}`);
  return size;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

const view = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const READERS: Readonly<Record<string, (data: DataView, at: number) => number>> = {
  F64: (data, at) => data.getFloat64(at, true),
  F32: (data, at) => data.getFloat32(at, true),
  F16: (data, at) => fromBits(data.getUint16(at, true), F16),
  BF16: (data, at) => fromBits(data.getUint16(at, true), BF16),
  I64: (data, at) => Number(data.getBigInt64(at, true)),
  I32: (data, at) => data.getInt32(at, true),
  I8: (data, at) => data.getInt8(at),
  U8: (data, at) => data.getUint8(at),
  BOOL: (data, at) => data.getUint8(at),
};

/** Values of a tensor, widened without loss (64-bit integers beyond 2^53 excepted). */
export function decode(tensor: StoredTensor): Float64Array {
  const read = READERS[tensor.dtype];
  if (read === undefined) throw new Error(`no reader for dtype ${tensor.dtype}`);
  const size = dtypeSizeBytes(tensor.dtype);
  const data = view(tensor.bytes);
  return Float64Array.from({ length: tensor.bytes.length / size }, (_, i) => read(data, i * size));
}

export function encode(values: ArrayLike<number>, dtype: string): Uint8Array {
  const size = dtypeSizeBytes(dtype);
  const bytes = new Uint8Array(values.length * size);
  const data = view(bytes);
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] ?? 0;
    if (dtype === "F32") data.setFloat32(i * size, value, true);
    else if (dtype === "F64") data.setFloat64(i * size, value, true);
    else if (dtype === "BF16") data.setUint16(i * size, toBits(Math.fround(value), BF16), true);
    else if (dtype === "F16") data.setUint16(i * size, toBits(Math.fround(value), F16), true);
    else if (dtype === "I64") data.setBigInt64(i * size, BigInt(value), true);
    else if (size === 1) data.setUint8(i, value);
    else throw new Error(`no writer for dtype ${dtype}`);
  }
  return bytes;
}

export function tensorOf(
  dtype: string,
  shape: readonly number[],
  values: ArrayLike<number>,
): StoredTensor {
  return { dtype, shape, bytes: encode(values, dtype) };
}

export interface TensorLayout {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** The 8-byte length and the JSON header, padded with spaces to 8 bytes, of tensors in file order. */
export function encodeHeader(tensors: readonly TensorLayout[]): Uint8Array {
  let offset = 0;
  const entries: Record<string, unknown> = { __metadata__: { format: "pt" } };
  for (const { name, dtype, shape } of tensors) {
    const end = offset + elementCount(shape) * dtypeSizeBytes(dtype);
    entries[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(entries));
  const padded = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, " ");
  padded.writeBigUInt64LE(BigInt(padded.length - 8));
  json.copy(padded, 8);
  return padded;
}

export function encodeFile(tensors: Tensors): Uint8Array {
  const layouts = [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  const parts = [...tensors.values()].map((tensor) => tensor.bytes);
  return Buffer.concat([encodeHeader(layouts), ...parts]);
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

export function readTensorFile(path: string): Tensors {
  const file = readFileSync(path);
  const dataStart = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, dataStart)) as Record<string, HeaderEntry>;
  const tensors: Tensors = new Map();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [begin, end] = entry.data_offsets;
    const expected = elementCount(entry.shape) * dtypeSizeBytes(entry.dtype);
    if (end - begin !== expected || dataStart + end > file.length) {
      throw new Error(`${path}: ${name}: ${end - begin} bytes where the shape takes ${expected}`);
    }
    const bytes = file.subarray(dataStart + begin, dataStart + end);
    tensors.set(name, { dtype: entry.dtype, shape: entry.shape, bytes });
  }
  return tensors;
}

/** All tensors of a checkpoint directory. An index that disagrees with its shards is an error. */
export function readCheckpoint(directory: string): Tensors {
  const indexPath = join(directory, "model.safetensors.index.json");
  if (!existsSync(indexPath)) return readTensorFile(join(directory, "model.safetensors"));
  const index = JSON.parse(readFileSync(indexPath, "utf8")) as {
    weight_map: Record<string, string>;
  };
  const tensors: Tensors = new Map();
  for (const shard of [...new Set(Object.values(index.weight_map))].sort()) {
    for (const [name, tensor] of readTensorFile(join(directory, shard))) {
      if (index.weight_map[name] !== shard) {
        throw new Error(
          `${directory}: ${shard} holds ${name}, which the index does not place there`,
        );
      }
      tensors.set(name, tensor);
    }
  }
  const lost = Object.keys(index.weight_map).filter((name) => !tensors.has(name));
  if (lost.length > 0) throw new Error(`${directory}: the index names absent ${lost.join(", ")}`);
  return tensors;
}
