// Random merges have no prescribed numbers, so they are judged by their statistics: which share of the
// elements was kept (z test against the binomial), that kept elements are exact, and four summary
// numbers against runs of an independent implementation.
import { decode, type Tensors } from "./safetensors.js";

/** One fine-tune on a base: which of its differences were kept. */
export interface SingleMaskStats {
  readonly kind: "single_mask";
  readonly base: string;
  readonly model: string;
  readonly weight: number;
  readonly keep_rate: number;
  readonly rescale: boolean;
  readonly z_max: number;
  readonly relative_tolerance: number;
}

/** Many fine-tunes: output - base against full - base, where full is the merge without dropping. */
export interface AggregateStats {
  readonly kind: "aggregate";
  readonly base: string;
  readonly full: string;
  readonly metrics: Readonly<Record<string, { readonly mean: number; readonly tolerance: number }>>;
}

export type Stats = SingleMaskStats | AggregateStats;

function values(tensors: Tensors, name: string): Float64Array {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new Error(`${name} is missing`);
  return decode(tensor);
}

function difference(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value - (b[i] ?? 0));
}

const magnitudeSum = (list: Float64Array): number => list.reduce((sum, x) => sum + Math.abs(x), 0);
const magnitudeMax = (list: Float64Array): number =>
  list.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

function namesProblem(output: Tensors, base: Tensors): string | null {
  const odd = [
    ...[...output.keys()].filter((name) => !base.has(name)),
    ...[...base.keys()].filter((name) => !output.has(name)),
  ];
  return odd.length === 0
    ? null
    : `tensor names differ from the base: ${odd.slice(0, 3).join(", ")}`;
}

interface Tally {
  kept: number;
  trials: number;
}

/** One tensor of a single-mask merge; counts into the tally and returns what is wrong. */
function maskProblems(
  stats: SingleMaskStats,
  tally: Tally,
  base: Float64Array,
  delta: Float64Array,
  change: Float64Array,
): readonly string[] {
  const problems: string[] = [];
  const rate = stats.keep_rate;
  const kept = delta.filter((x, i) => x !== 0 && change[i] !== 0);
  if (delta.some((x, i) => x === 0 && change[i] !== 0)) {
    problems.push("changed where the model equals the base");
  }
  const deviation = Math.sqrt(delta.length * rate * (1 - rate));
  // One more half and one more element than overall: a small tensor has few trials.
  if (Math.abs(kept.length - delta.length * rate) > (stats.z_max + 0.5) * deviation + 1) {
    problems.push(`kept ${kept.length} of ${delta.length}, expected a share of ${rate}`);
  }
  tally.kept += kept.length;
  tally.trials += delta.length;
  if (kept.length === 0) return problems;
  const factor = stats.weight * (stats.rescale ? magnitudeSum(delta) / magnitudeSum(kept) : 1);
  const wanted = delta.map((x) => x * factor);
  const errors = change.map((x, i) => (x !== 0 && delta[i] !== 0 ? x - (wanted[i] ?? 0) : 0));
  const error = magnitudeMax(errors);
  // The output is stored as base + change in float32, so its own rounding comes on top.
  const slack = 4e-7 * Math.max(magnitudeMax(base), magnitudeMax(change));
  if (error > stats.relative_tolerance * magnitudeMax(wanted) + slack) {
    problems.push(`kept elements are off by ${error.toExponential(2)}`);
  }
  return problems;
}

export function compareSingleMask(
  stats: SingleMaskStats,
  base: Tensors,
  model: Tensors,
  output: Tensors,
): readonly string[] {
  const names = namesProblem(output, base);
  if (names !== null) return [names];
  const tally: Tally = { kept: 0, trials: 0 };
  const problems = [...base.keys()].flatMap((name) => {
    const origin = values(base, name);
    const delta = difference(values(model, name), origin);
    const change = difference(values(output, name), origin);
    const found = maskProblems(stats, tally, origin, delta, change);
    return found.map((problem) => `${name}: ${problem}`);
  });
  const rate = stats.keep_rate;
  const z = (tally.kept - tally.trials * rate) / Math.sqrt(tally.trials * rate * (1 - rate));
  if (Math.abs(z) > stats.z_max) {
    const share = (tally.kept / tally.trials).toFixed(4);
    problems.push(`overall keep rate ${share}, expected ${rate} (z = ${z.toFixed(1)})`);
  }
  return problems;
}

export function compareAggregate(
  stats: AggregateStats,
  base: Tensors,
  full: Tensors,
  output: Tensors,
): readonly string[] {
  const names = namesProblem(output, base);
  if (names !== null) return [names];
  const sums = { changed: 0, elements: 0, l1: 0, l1Full: 0, product: 0, square: 0, total: 0 };
  for (const name of base.keys()) {
    const origin = values(base, name);
    const change = difference(values(output, name), origin);
    const whole = difference(values(full, name), origin);
    for (const [i, d] of change.entries()) {
      const f = whole[i] ?? 0;
      sums.changed += d === 0 ? 0 : 1;
      sums.l1 += Math.abs(d);
      sums.l1Full += Math.abs(f);
      sums.product += d * f;
      sums.square += f * f;
      sums.total += d;
    }
    sums.elements += change.length;
  }
  const measured: Readonly<Record<string, number>> = {
    changed_fraction: sums.changed / sums.elements,
    l1_ratio: sums.l1 / sums.l1Full,
    projection: sums.product / sums.square,
    mean_difference_per_element: sums.total / sums.elements,
  };
  return Object.entries(stats.metrics).flatMap(([metric, { mean, tolerance }]) => {
    const got = measured[metric] ?? Number.NaN;
    if (Math.abs(got - mean) <= tolerance) return [];
    return [`${metric} is ${got}, expected ${mean} within ${tolerance}`];
  });
}
