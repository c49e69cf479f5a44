// Decides whether two checkpoints hold the same numbers, within a class of tolerance: same bytes
// (exact-copy); error relative to each tensor's largest element (fp32); at most 1 ulp from the float32
// reference rounded once, or too close to it for ulps to mean anything (bf16, fp16).
import { BF16, F16, type FloatFormat, toBits, ulpDistance } from "./float-formats.js";
import { fuseExperts } from "./fuse-experts.js";
import { decode, type StoredTensor, type Tensors } from "./safetensors.js";

export type ToleranceClass = "exact-copy" | "fp32" | "bf16" | "fp16";

export const DEFAULT_TOLERANCE = 2e-6;

export interface Expectation {
  readonly toleranceClass: ToleranceClass;
  readonly expected: Tensors;
  /** The same recipe in float32; without it the expected values stand in. */
  readonly reference: Tensors | null;
  readonly tolerance: number;
  /** 1 where rounding noise decides, so that either outcome is right. */
  readonly dontcare: Tensors | null;
}

export interface TensorProblem {
  readonly tensor: string;
  readonly message: string;
}

const FLOAT_DTYPES = new Set(["F64", "F32", "F16", "BF16"]);

interface Elements {
  readonly actual: Float64Array;
  readonly target: Float64Array;
  readonly skip: Uint8Array | null;
  /** Largest finite magnitude of the target, 1 when there is none. */
  readonly scale: number;
}

function largestMagnitude(values: Float64Array): number {
  let largest = 0;
  for (const value of values) {
    if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  }
  return largest === 0 ? 1 : largest;
}

/** Infinities and NaN must stand at the same places and be the same. */
function nonFiniteProblem({ actual, target }: Elements): string | null {
  for (const [i, want] of target.entries()) {
    const got = actual[i] ?? Number.NaN;
    if (Number.isFinite(want) === Number.isFinite(got)) {
      if (Number.isFinite(want) || Object.is(want, got)) continue;
    }
    return `element ${i} is ${got}, expected ${want}`;
  }
  return null;
}

function fp32Problem({ actual, target, skip, scale }: Elements, tolerance: number): string | null {
  let worst = 0;
  let count = 0;
  for (const [i, want] of target.entries()) {
    if (!Number.isFinite(want) || skip?.[i] === 1) continue;
    const error = Math.abs((actual[i] ?? 0) - want);
    if (error > tolerance * scale) count += 1;
    worst = Math.max(worst, error);
  }
  if (count === 0) return null;
  const relative = (worst / scale).toExponential(2);
  return `relative error ${relative} is over ${tolerance} (${count} of ${target.length} elements)`;
}

function ulpProblem(elements: Elements, tolerance: number, format: FloatFormat): string | null {
  const { actual, target, skip, scale } = elements;
  const tiny = Math.max(tolerance, DEFAULT_TOLERANCE) * scale;
  let worst = 0;
  let count = 0;
  for (const [i, want] of target.entries()) {
    const got = actual[i] ?? 0;
    if (!Number.isFinite(want) || skip?.[i] === 1 || Math.abs(got - want) <= tiny) continue;
    const ulps = ulpDistance(toBits(got, format), toBits(Math.fround(want), format));
    if (ulps > 1) count += 1;
    worst = Math.max(worst, ulps);
  }
  if (count === 0) return null;
  return `${worst} ulp from the rounded reference (${count} of ${target.length} elements over 1)`;
}

function sameBytes(a: StoredTensor, b: StoredTensor): boolean {
  return Buffer.compare(a.bytes, b.bytes) === 0;
}

function valueProblem(
  name: string,
  expected: StoredTensor,
  actual: StoredTensor,
  expectation: Expectation,
): string | null {
  const { toleranceClass, tolerance } = expectation;
  if (toleranceClass === "exact-copy" || !FLOAT_DTYPES.has(expected.dtype)) {
    return sameBytes(expected, actual) ? null : "bytes differ";
  }
  const reference = expectation.reference === null ? expected : expectation.reference.get(name);
  if (reference === undefined) return "the reference lacks this tensor";
  const target = decode(reference);
  const elements: Elements = {
    actual: decode(actual),
    target,
    skip: expectation.dontcare?.get(name)?.bytes ?? null,
    scale: largestMagnitude(target),
  };
  const nonFinite = nonFiniteProblem(elements);
  if (nonFinite !== null) return nonFinite;
  if (toleranceClass === "fp32") return fp32Problem(elements, tolerance);
  return ulpProblem(elements, tolerance, toleranceClass === "bf16" ? BF16 : F16);
}

/** All differences that the class does not allow; tensor order and sharding are free. */
export function compareTensors(
  expectation: Expectation,
  output: Tensors,
): readonly TensorProblem[] {
  const expected = fuseExperts(expectation.expected);
  const reference = expectation.reference === null ? null : fuseExperts(expectation.reference);
  const actual = fuseExperts(output);
  const problems: TensorProblem[] = [];
  const add = (tensor: string, message: string): number => problems.push({ tensor, message });
  for (const name of actual.keys()) if (!expected.has(name)) add(name, "unexpected tensor");
  for (const [name, want] of expected) {
    const got = actual.get(name);
    if (got === undefined) add(name, "missing");
    else if (got.shape.join() !== want.shape.join()) {
      add(name, `shape [${got.shape}], expected [${want.shape}]`);
    } else if (got.dtype !== want.dtype) add(name, `dtype ${got.dtype}, expected ${want.dtype}`);
    else {
      const problem = valueProblem(name, want, got, { ...expectation, reference });
      if (problem !== null) add(name, problem);
    }
  }
  return problems;
}
