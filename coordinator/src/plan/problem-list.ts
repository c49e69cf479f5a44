// Collects what is wrong with a plan. Problems of one kind are told once, with the first tensor and
// how many more there are: a wrong recipe over a large model must not print thousands of lines.
import type { Position, Problem } from "../recipe/recipe.js";

interface Group {
  readonly position: Position | null;
  readonly first: string;
  count: number;
}

export class ProblemList {
  readonly #groups = new Map<string, Group>();

  /** Counts `first` under `key`; only the first one's text is shown. */
  add(key: string, position: Position | null, first: () => string): void {
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, { position, first: first(), count: 1 });
    else group.count += 1;
  }

  get isEmpty(): boolean {
    return this.#groups.size === 0;
  }

  problems(): Problem[] {
    return [...this.#groups.values()].map(({ position, first, count }) => ({
      severity: "error",
      position,
      message: count === 1 ? first : `${first} (and ${moreTensors(count - 1)})`,
    }));
  }
}

/** Notes for the user, grouped the same way. */
export class NoteList {
  readonly #groups = new Map<string, { readonly first: string; count: number }>();

  add(key: string, first: () => string): void {
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, { first: first(), count: 1 });
    else group.count += 1;
  }

  lines(): string[] {
    return [...this.#groups.values()].map(({ first, count }) =>
      count === 1 ? first : `${first} (and ${moreTensors(count - 1)})`,
    );
  }
}

function moreTensors(count: number): string {
  return count === 1 ? "1 more tensor" : `${count} more tensors`;
}
