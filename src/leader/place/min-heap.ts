/** A binary heap: the least element first, by a total order that the caller gives. */
import { at } from './at.ts';

export class MinHeap<T> {
  readonly #elements: T[] = [];
  readonly #order: (a: T, b: T) => number;

  /** `order` is negative when `a` comes before `b`. */
  constructor(order: (a: T, b: T) => number) {
    this.#order = order;
  }

  push(element: T): void {
    const elements = this.#elements;
    let hole = elements.length;
    elements.push(element);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = at(elements, parent);
      if (this.#order(above, element) <= 0) break;
      elements[hole] = above;
      hole = parent;
    }
    elements[hole] = element;
  }

  /** Takes out the least element; undefined when there is none. */
  pop(): T | undefined {
    const elements = this.#elements;
    const top = elements[0];
    const last = elements.pop();
    if (last === undefined || elements.length === 0) return top;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= elements.length) break;
      if (child + 1 < elements.length && this.#order(at(elements, child + 1), at(elements, child)) < 0) child += 1;
      const below = at(elements, child);
      if (this.#order(below, last) >= 0) break;
      elements[hole] = below;
      hole = child;
    }
    elements[hole] = last;
    return top;
  }
}
