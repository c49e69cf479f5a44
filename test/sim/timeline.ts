// Virtual time: things happen in the order of their times, and at one time in the order they were
// planned. Nothing waits, so an hour costs what its events cost.

interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

const isBefore = (a: Planned, b: Planned): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

export class Timeline {
  nowMs = 0;
  #planned = 0;
  /** A binary min-heap. */
  readonly #items: Planned[] = [];

  after(delayMs: number, run: () => void): void {
    this.#planned += 1;
    const item = { atMs: this.nowMs + delayMs, order: this.#planned, run };
    const items = this.#items;
    let index = items.length;
    items.push(item);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = items[parent] as Planned;
      if (!isBefore(item, above)) break;
      items[index] = above;
      index = parent;
    }
    items[index] = item;
  }

  /** Lets the next thing happen; false when nothing is planned before `endMs`. */
  step(endMs: number): boolean {
    const next = this.#items[0];
    if (next === undefined || next.atMs > endMs) return false;
    this.#removeFirst();
    this.nowMs = next.atMs;
    next.run();
    return true;
  }

  #removeFirst(): void {
    const items = this.#items;
    const last = items.pop() as Planned;
    if (items.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= items.length) break;
      const right = items[child + 1];
      if (right !== undefined && isBefore(right, items[child] as Planned)) child += 1;
      if (!isBefore(items[child] as Planned, last)) break;
      items[index] = items[child] as Planned;
      index = child;
    }
    items[index] = last;
  }
}
