// The value of a setting for one tensor: first matching condition, gradients interpolated in double
// precision, levels searched from the most specific to the default.
import type { ParameterInfo } from "./methods.js";
import type { Condition, Setting, Settings, SettingValue } from "./recipe.js";

/**
 * The value at `t` in [0, 1], or null when no condition matches. The caller chooses name and t: for
 * a global parameter the output name, for a per-model one that model's own tensor name; t is the
 * layer's place in its slice, 0 outside layers and 1 in a slice of one layer.
 */
export function evaluateSetting(setting: Setting, tensorName: string, t: number): number | null {
  const condition = setting.conditions.find((candidate) => matches(candidate, tensorName));
  return condition === undefined ? null : valueAt(condition.value, t);
}

/** Filters are plain, case-sensitive substrings: layers.1 also matches layers.10. */
function matches({ filter }: Condition, tensorName: string): boolean {
  return filter === null || filter === "*" || tensorName.includes(filter);
}

function valueAt(value: SettingValue, t: number): number {
  if (value.kind === "number") return value.value;
  const { values } = value;
  const place = t * (values.length - 1);
  const before = Math.trunc(place);
  const after = Math.min(values.length - 1, before + 1);
  const share = place - before;
  return (1 - share) * (values[before] ?? 0) + share * (values[after] ?? 0);
}

/** `levels` from source to top level; null means "not given" for an optional parameter. */
export function resolveParameter(
  info: ParameterInfo,
  levels: readonly Settings[],
  tensorName: string,
  t: number,
): number | null | "missing" {
  for (const level of levels) {
    const setting = level.get(info.name);
    const value = setting === undefined ? null : evaluateSetting(setting, tensorName, t);
    if (value !== null) return value;
  }
  if (info.defaultValue !== null) return info.defaultValue;
  return info.optional === true ? null : "missing";
}

/** What a value must be, or null when it is that; applies between gradient elements too. */
export function valueProblem(info: ParameterInfo, value: number): string | null {
  if (info.kind === "boolean" && value !== 0 && value !== 1) {
    return "expected true or false (1 or 0)";
  }
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = info;
  if (value >= min && value <= max) return null;
  if (info.max === undefined) return `expected a number of at least ${min}`;
  if (info.min === undefined) return `expected a number of at most ${max}`;
  return `expected a number in [${min}, ${max}]`;
}
