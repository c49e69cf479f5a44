// Judges the output of one golden case: weights by the case's class, config.json by the keys that
// must agree. A case marked as a quirk may differ in the tensors it names, which is reported apart.
import { existsSync, readFileSync } from "node:fs";
import { join, normalize } from "node:path";
import {
  type AggregateStats,
  compareAggregate,
  compareSingleMask,
  type SingleMaskStats,
} from "./compare-stats.js";
import {
  compareTensors,
  DEFAULT_TOLERANCE,
  type TensorProblem,
  type ToleranceClass,
} from "./compare-tensors.js";
import { readCheckpoint, readTensorFile } from "./safetensors.js";

/** case.json */
export interface GoldenCase {
  readonly id: string;
  readonly description: string;
  readonly proves: string;
  readonly tolerance_class: ToleranceClass | "stats" | "refusal";
  readonly tolerance?: number;
  /** Directory of the float32 result, relative to the case. */
  readonly reference32?: string;
  readonly quirk_tensors?: string;
  readonly config_ignore?: readonly string[];
  readonly expected_error?: string;
  readonly note?: string;
}

export interface Verdict {
  readonly problems: readonly string[];
  /** Differences that the case allows. */
  readonly quirks: readonly string[];
}

const CONFIG_KEYS = [
  "architectures",
  "model_type",
  "num_hidden_layers",
  "hidden_size",
  "intermediate_size",
  "vocab_size",
  "num_attention_heads",
  "num_key_value_heads",
  "tie_word_embeddings",
  "num_local_experts",
] as const;

type Config = Readonly<Record<string, unknown>>;

export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, "utf8")) as T;
}

export function readCase(directory: string): GoldenCase {
  return readJson<GoldenCase>(join(directory, "case.json"));
}

const dtypeOf = (config: Config): string =>
  String(config.dtype ?? config.torch_dtype).replace("torch.", "");

export function compareConfigs(
  expected: Config,
  actual: Config,
  ignored: readonly string[],
): readonly string[] {
  const problems: string[] = [];
  const check = (key: string, want: unknown, got: unknown): void => {
    const [wanted, given] = [JSON.stringify(want), JSON.stringify(got)];
    if (wanted !== given) problems.push(`config.json ${key}: ${given}, expected ${wanted}`);
  };
  for (const key of CONFIG_KEYS) {
    if (ignored.includes(key) || !(key in expected)) continue;
    // Absent means the default of the architecture, which tied models rely on.
    if (key === "tie_word_embeddings" && !(key in actual)) continue;
    check(key, expected[key], actual[key]);
  }
  if (!ignored.includes("dtype")) check("dtype", dtypeOf(expected), dtypeOf(actual));
  return problems;
}

function configProblems(golden: GoldenCase, expected: string, actual: string): readonly string[] {
  const expectedPath = join(expected, "config.json");
  const actualPath = join(actual, "config.json");
  if (!existsSync(expectedPath)) return [];
  if (!existsSync(actualPath)) return ["config.json is missing"];
  const ignored = golden.config_ignore ?? [];
  return compareConfigs(readJson(expectedPath), readJson(actualPath), ignored);
}

function statsVerdict(directory: string, actual: string): Verdict {
  const stats = readJson<SingleMaskStats | AggregateStats>(join(directory, "stats.json"));
  const model = (name: string) => readCheckpoint(join(directory, "..", "..", "models", name));
  const output = readCheckpoint(actual);
  const base = model(stats.base);
  const problems =
    stats.kind === "aggregate"
      ? compareAggregate(stats, base, readCheckpoint(join(directory, stats.full)), output)
      : compareSingleMask(stats, base, model(stats.model), output);
  return { problems, quirks: [] };
}

const text = ({ tensor, message }: TensorProblem): string => `${tensor}: ${message}`;

/** The verdict on the output directory of a case that must succeed. */
export function compareCase(directory: string, actual: string): Verdict {
  const golden = readCase(directory);
  const { tolerance_class: toleranceClass, reference32, quirk_tensors: quirk } = golden;
  if (toleranceClass === "stats") return statsVerdict(directory, actual);
  if (toleranceClass === "refusal") throw new Error(`${golden.id} has no output to compare`);
  const expected = join(directory, "expected");
  const dontcare = join(directory, "dontcare.safetensors");
  const expectation = {
    toleranceClass,
    expected: readCheckpoint(expected),
    reference:
      reference32 === undefined ? null : readCheckpoint(normalize(join(directory, reference32))),
    tolerance: golden.tolerance ?? DEFAULT_TOLERANCE,
    dontcare: existsSync(dontcare) ? readTensorFile(dontcare) : null,
  };
  const found = compareTensors(expectation, readCheckpoint(actual));
  const allowed = found.filter(({ tensor }) => quirk !== undefined && tensor.includes(quirk));
  const wrong = found.filter((problem) => !allowed.includes(problem));
  return {
    problems: [...wrong.map(text), ...configProblems(golden, expected, actual)],
    quirks: allowed.map(text),
  };
}
