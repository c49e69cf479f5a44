// A binary min-heap of numbers under a caller's order. Entries are never removed from the middle:
// owners drop outdated ones when they surface.

export interface Heap {
  readonly size: number;
  push(item: number): void;
  peek(): number | undefined;
  pop(): number | undefined;
}

/** `before(a, b)` says whether a leaves first. Push and pop cost O(log n). */
export function createHeap(before: (a: number, b: number) => boolean): Heap {
  const items: number[] = [];
  const at = (index: number): number => items[index] as number;

  const rise = (start: number): void => {
    let index = start;
    const item = at(index);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(item, at(parent))) break;
      items[index] = at(parent);
      index = parent;
    }
    items[index] = item;
  };

  const sink = (): void => {
    const item = at(0);
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && before(at(child + 1), at(child))) child += 1;
      if (!before(at(child), item)) break;
      items[index] = at(child);
      index = child;
    }
    items[index] = item;
  };

  return {
    get size() {
      return items.length;
    },
    push(item) {
      items.push(item);
      rise(items.length - 1);
    },
    peek: () => items[0],
    pop() {
      const first = items[0];
      const last = items.pop();
      if (items.length > 0 && last !== undefined) {
        items[0] = last;
        sink();
      }
      return first;
    },
  };
}
