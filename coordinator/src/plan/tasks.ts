// Cuts the work into tasks of about 256 MiB of I/O, less in small merges, in output order. Outputs that
// are the same function of the same source bytes become one operation with several destinations, so
// that a layer a frankenmerge uses twice is read once.
import { type Destination, dtypeInfo, Kernel, type Operation, type Task } from "@graft/proto";
import { canonicalDigest } from "./canonical.js";
import { elementCount } from "./operands.js";
import type { PlannedTensor } from "./planned-tensor.js";
import type { OutputFile, PinnedFile } from "./types.js";

const MIB = 1024 * 1024;
export const TASK_BYTES_MAX = 256 * MIB;
/** Below this a task costs more to hand out and to record than to run. */
const TASK_BYTES_MIN = 8 * MIB;
/** A small merge is cut into so many, which keeps a handful of workers busy to the end. */
const TASK_COUNT_WANTED = 64;
/** Ranges of a split tensor are multiples of this, so that digest pieces never straddle two. */
export const SPLIT_ELEMENTS = 8 * 1024 * 1024;
/** Keeps the message of a task of many tiny tensors far below any message cap. */
const TASK_OPERANDS_MAX = 8192;

interface Place {
  readonly file: string;
  readonly offsetBytes: number;
}

/** A run of elements of one tensor (or of several equal ones). */
interface Piece {
  readonly tensor: PlannedTensor;
  readonly destinations: readonly { readonly name: string; readonly place: Place }[];
  readonly elementStart: number;
  readonly elementCount: number;
}

export function buildTasks(
  tensors: readonly PlannedTensor[],
  files: readonly OutputFile[],
  kernelVersion: string,
): Task[] {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const whole = sharedPieces(byName, files);
  const bytesMax = taskBytes(whole.reduce((sum, piece) => sum + movedBytes(piece), 0));
  const pieces = whole.flatMap((piece) => split(piece, bytesMax));
  return group(pieces, bytesMax).map((run) => buildTask(run, kernelVersion));
}

function taskBytes(totalBytes: number): number {
  const wanted = Math.ceil(totalBytes / TASK_COUNT_WANTED);
  return Math.min(Math.max(wanted, TASK_BYTES_MIN), TASK_BYTES_MAX);
}

/** One whole-tensor piece per distinct piece of work, in order of its first place in the output. */
function sharedPieces(
  byName: ReadonlyMap<string, PlannedTensor>,
  files: readonly OutputFile[],
): Piece[] {
  const pieces = new Map<string, Piece & { destinations: { name: string; place: Place }[] }>();
  for (const file of files) {
    for (const { name, offsetBytes } of file.tensors) {
      const tensor = byName.get(name);
      if (tensor === undefined) throw new Error(`tensor ${name} is laid out but not planned`);
      const destination = { name, place: { file: file.name, offsetBytes } };
      const key = workKey(tensor);
      const piece = pieces.get(key);
      if (piece !== undefined) piece.destinations.push(destination);
      else {
        const count = elementCount(tensor.shape);
        const destinations = [destination];
        pieces.set(key, { tensor, destinations, elementStart: 0, elementCount: count });
      }
    }
  }
  return [...pieces.values()];
}

/** Equal for two tensors exactly when they are the same function of the same source bytes. */
function workKey({ kernel, dtype, shape, inputs, parameters }: PlannedTensor): string {
  const sources = inputs.map(({ index, tensor, weight, density, modelIndex }) => {
    const stream = kernel === Kernel.KERNEL_TASK_VECTOR ? modelIndex : 0;
    return [index.position, tensor.file, tensor.offsetBytes, tensor.dtype, weight, density, stream];
  });
  const settings = parameters === undefined ? "" : Object.values(parameters.value).join(" ");
  // An empty tensor shares its offset with its neighbour; the name keeps the two apart.
  const name = elementCount(shape) === 0 ? inputs[0]?.tensor.name : "";
  return `${kernel}/${dtype}/${elementCount(shape)}/${sources.join(";")}/${settings}/${name}`;
}

/** COPY and LINEAR need no statistics over the whole tensor and can be cut anywhere. */
function split(piece: Piece, bytesMax: number): Piece[] {
  const { kernel } = piece.tensor;
  const canSplit = kernel === Kernel.KERNEL_COPY || kernel === Kernel.KERNEL_LINEAR;
  if (!canSplit || movedBytes(piece) <= bytesMax) return [piece];
  const elementBytes = movedBytes(piece) / piece.elementCount;
  const blocks = Math.max(1, Math.floor(bytesMax / elementBytes / SPLIT_ELEMENTS));
  const step = blocks * SPLIT_ELEMENTS;
  const count = Math.ceil(piece.elementCount / step);
  return Array.from({ length: count }, (_, number) => {
    const elementStart = number * step;
    const rest = piece.elementCount - elementStart;
    return { ...piece, elementStart, elementCount: Math.min(step, rest) };
  });
}

function group(pieces: readonly Piece[], bytesMax: number): Piece[][] {
  const runs: Piece[][] = [];
  let run: Piece[] = [];
  let bytes = 0;
  let operands = 0;
  for (const piece of pieces) {
    const pieceBytes = movedBytes(piece);
    const pieceOperands = piece.tensor.inputs.length + piece.destinations.length;
    const isFull = bytes + pieceBytes > bytesMax || operands + pieceOperands > TASK_OPERANDS_MAX;
    if (run.length > 0 && isFull) {
      runs.push(run);
      run = [];
      bytes = 0;
      operands = 0;
    }
    run.push(piece);
    bytes += pieceBytes;
    operands += pieceOperands;
  }
  if (run.length > 0) runs.push(run);
  return runs;
}

function movedBytes(piece: Piece): number {
  return readBytes(piece) + writeBytes(piece);
}

function readBytes({ tensor, elementCount: count }: Piece): number {
  return tensor.inputs.reduce(
    (sum, input) => sum + count * dtypeInfo(input.tensor.dtype).sizeBytes,
    0,
  );
}

function writeBytes({ tensor, destinations, elementCount: count }: Piece): number {
  return count * dtypeInfo(tensor.dtype).sizeBytes * destinations.length;
}

function buildTask(pieces: readonly Piece[], kernelVersion: string): Task {
  const inputs = new Numbering<PinnedFile>();
  const outputs = new Numbering<string>();
  const operations = pieces.map((piece) => buildOperation(piece, inputs, outputs));
  const sum = (bytes: (piece: Piece) => number) =>
    BigInt(pieces.reduce((total, piece) => total + bytes(piece), 0));
  const task = {
    inputs: inputs.values.map((file) => ({ ...file, sizeBytes: BigInt(file.sizeBytes) })),
    outputs: outputs.values,
    operations,
    readBytes: sum(readBytes),
    writeBytes: sum(writeBytes),
  };
  return { taskId: taskIdentity(task, kernelVersion), ...task };
}

function buildOperation(
  { tensor, destinations, elementStart, elementCount: count }: Piece,
  inputs: Numbering<PinnedFile>,
  outputs: Numbering<string>,
): Operation {
  return {
    kernel: tensor.kernel,
    outputDtype: tensor.dtype,
    tensorElementCount: BigInt(elementCount(tensor.shape)),
    elementStart: BigInt(elementStart),
    elementCount: BigInt(count),
    inputs: tensor.inputs.map(({ index, tensor: source, weight, density, modelIndex }) => ({
      fileIndex: inputs.numberOf(fileOf(index.model.files, source.file)),
      offsetBytes: BigInt(source.offsetBytes),
      dtype: source.dtype,
      weight,
      density,
      modelIndex,
      tensor: source.name,
      model: index.model.label,
    })),
    destinations: destinations.map(
      ({ name, place }): Destination => ({
        fileIndex: outputs.numberOf(place.file),
        offsetBytes: BigInt(place.offsetBytes),
        tensor: name,
      }),
    ),
    parameters: tensor.parameters,
  };
}

function fileOf(files: readonly PinnedFile[], position: number): PinnedFile {
  const file = files[position];
  if (file === undefined) throw new Error(`model has no weight file ${position}`);
  return file;
}

/** Numbers values in order of first use. */
class Numbering<T> {
  readonly values: T[] = [];
  readonly #numbers = new Map<T, number>();

  numberOf(value: T): number {
    const known = this.#numbers.get(value);
    if (known !== undefined) return known;
    const number = this.values.push(value) - 1;
    this.#numbers.set(value, number);
    return number;
  }
}

/** Paths and inodes are where bytes happen to be today; they are no part of what a task is. */
function taskIdentity(task: Omit<Task, "taskId">, kernelVersion: string): string {
  const inputs = task.inputs.map(({ name, sizeBytes, headerDigest }) => ({
    name,
    sizeBytes,
    headerDigest,
  }));
  return canonicalDigest({ ...task, inputs, kernelVersion });
}
