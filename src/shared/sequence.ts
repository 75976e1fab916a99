/** Names of sequential znodes: ZooKeeper appends a number that rises with every change of the parent's children. */

/** The number that ZooKeeper appended, however many digits it has; NaN when there is none. */
export function sequenceOf(name: string): number {
  return Number(/(\d+)$/.exec(name)?.[1] ?? Number.NaN);
}

/** The order in which they were made. */
export function compareSequence(a: string, b: string): number {
  return sequenceOf(a) - sequenceOf(b);
}
