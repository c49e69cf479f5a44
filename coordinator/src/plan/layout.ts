// Where every output tensor goes: shards, safetensors headers, offsets. All of it is known before a
// weight is read, so that tensors can be written in place, in any order, by anybody.
import { dtypeInfo } from "@graft/proto";
import { compareText } from "./canonical.js";
import { elementCount } from "./operands.js";
import type { PlannedTensor } from "./planned-tensor.js";
import type { OutputFile, OutputTensor } from "./types.js";

/** Block size of direct I/O; tensors of whole blocks start on a block. */
export const ALIGNMENT_BYTES = 4096;

export interface Layout {
  readonly files: readonly OutputFile[];
  /** model.safetensors.index.json; null for a single file. */
  readonly indexText: string | null;
}

interface Sized {
  readonly tensor: PlannedTensor;
  readonly lengthBytes: number;
}

/** `tensors` in output order; a tensor larger than the bound gets a shard of its own. */
export function layOut(tensors: readonly PlannedTensor[], maxShardSizeBytes: number): Layout {
  const sized = tensors.map((tensor) => ({
    tensor,
    lengthBytes: elementCount(tensor.shape) * dtypeInfo(tensor.dtype).sizeBytes,
  }));
  const shards = cutIntoShards(sized, maxShardSizeBytes);
  const files = shards.map((shard, number) => {
    return layOutFile(fileName(number, shards.length), alignedFirst(shard));
  });
  return { files, indexText: files.length > 1 ? indexText(files) : null };
}

function cutIntoShards(tensors: readonly Sized[], maxShardSizeBytes: number): Sized[][] {
  const shards: Sized[][] = [];
  let shard: Sized[] = [];
  let sizeBytes = 0;
  for (const tensor of tensors) {
    if (shard.length > 0 && sizeBytes + tensor.lengthBytes > maxShardSizeBytes) {
      shards.push(shard);
      shard = [];
      sizeBytes = 0;
    }
    shard.push(tensor);
    sizeBytes += tensor.lengthBytes;
  }
  if (shard.length > 0) shards.push(shard);
  return shards;
}

/**
 * Tensors of whole blocks first, so that each of them starts on a block; then the others, wide
 * elements before narrow ones, because readers want an element at a multiple of its own size.
 */
function alignedFirst(shard: readonly Sized[]): Sized[] {
  const isAligned = ({ lengthBytes }: Sized) => lengthBytes % ALIGNMENT_BYTES === 0;
  const width = ({ tensor }: Sized) => dtypeInfo(tensor.dtype).sizeBytes;
  const others = shard.filter((tensor) => !isAligned(tensor));
  return [...shard.filter(isAligned), ...others.sort((a, b) => width(b) - width(a))];
}

function fileName(number: number, count: number): string {
  if (count === 1) return "model.safetensors";
  const digits = (value: number) => String(value).padStart(5, "0");
  return `model-${digits(number + 1)}-of-${digits(count)}.safetensors`;
}

function layOutFile(name: string, shard: readonly Sized[]): OutputFile {
  // Members are joined by hand: an object would reorder names that look like numbers.
  const members = [`"__metadata__":{"format":"pt"}`];
  let end = 0;
  const ends = shard.map(({ tensor, lengthBytes }) => {
    const begin = end;
    end += lengthBytes;
    const dtype = dtypeInfo(tensor.dtype).name;
    const place = `"data_offsets":[${begin},${end}]`;
    const value = `{"dtype":"${dtype}","shape":[${tensor.shape.join(",")}],${place}}`;
    members.push(`${JSON.stringify(tensor.name)}:${value}`);
    return end;
  });
  const header = headerBytes(`{${members.join(",")}}`);
  const tensors = shard.map(({ tensor, lengthBytes }, position): OutputTensor => {
    return {
      name: tensor.name,
      dtype: tensor.dtype,
      shape: tensor.shape,
      offsetBytes: header.length + (ends[position] ?? 0) - lengthBytes,
      lengthBytes,
    };
  });
  return { name, sizeBytes: header.length + end, header, tensors };
}

/** Length field and JSON, padded with spaces to a whole number of blocks. */
function headerBytes(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const total = Math.ceil((8 + text.length) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  const bytes = new Uint8Array(total).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(total - 8), true);
  bytes.set(text, 8);
  return bytes;
}

function indexText(files: readonly OutputFile[]): string {
  const places = files
    .flatMap(({ name, tensors }) => tensors.map((tensor) => [tensor.name, name] as const))
    .sort(([a], [b]) => compareText(a, b));
  const totalBytes = files
    .flatMap(({ tensors }) => tensors)
    .reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const lines = places.map(([tensor, file]) => `    ${JSON.stringify(tensor)}: "${file}"`);
  const metadata = `  "metadata": {\n    "total_size": ${totalBytes}\n  }`;
  return `{\n${metadata},\n  "weight_map": {\n${lines.join(",\n")}\n  }\n}\n`;
}
