// Do the models belong together at all? Two configs that disagree on the architecture or the hidden
// size explain in one sentence what would otherwise be thousands of shape mismatches.
import type { ModelIndex } from "./model-index.js";
import type { ProblemList } from "./problem-list.js";

export function checkCompatibility(models: readonly ModelIndex[], problems: ProblemList): void {
  for (const other of models) {
    if (other.model.configText !== null && other.config === null) {
      problems.add(`config ${other.position}`, other.reference.position, () => {
        return `model "${other.reference.text}": config.json is not a JSON object`;
      });
    }
  }
  for (const other of models) checkAgainst(models, other, problems);
}

function checkAgainst(
  models: readonly ModelIndex[],
  other: ModelIndex,
  problems: ProblemList,
): void {
  const architectures = other.config?.architectures ?? null;
  const first = models.find(({ config }) => config?.architectures != null);
  if (first !== undefined && architectures !== null) {
    const expected = JSON.stringify(first.config?.architectures);
    if (JSON.stringify(architectures) !== expected) {
      problems.add(`architectures ${other.position}`, other.reference.position, () => {
        const given = JSON.stringify(architectures);
        return (
          `model "${other.reference.text}": architectures is ${given}, but ` +
          `"${first.reference.text}" has ${expected}; only models of one architecture merge`
        );
      });
      return;
    }
  }
  checkHiddenSize(models, other, problems);
}

function checkHiddenSize(
  models: readonly ModelIndex[],
  other: ModelIndex,
  problems: ProblemList,
): void {
  const first = models.find(({ config }) => config?.hiddenSize != null);
  const expected = first?.config?.hiddenSize;
  const given = other.config?.hiddenSize;
  if (first === undefined || expected == null || given == null) return;
  if (given.value === expected.value) return;
  problems.add(`hidden size ${other.position}`, other.reference.position, () => {
    return (
      `model "${other.reference.text}": ${given.key} is ${given.value}, but ` +
      `"${first.reference.text}" has ${expected.value}; weights of different width do not merge`
    );
  });
}
