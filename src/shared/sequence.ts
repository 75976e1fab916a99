/**
 * Names of sequential znodes: ZooKeeper appends a number that rises with every change of the parent's children. It has 32
 * bits, and goes on at the lowest, below 0, after the highest.
 */

/** The number that ZooKeeper appended, however many digits it has; NaN when there is none. */
export function sequenceOf(name: string): number {
  return Number(/(?<=^|[^A-Za-z0-9])(-?\d+)$/.exec(name)?.[1] ?? /\d+$/.exec(name)?.[0] ?? Number.NaN);
}

/** The order in which they were made: those that are there at once lie close together, on both sides of the highest perhaps. */
export function compareSequence(a: string, b: string): number {
  return (sequenceOf(a) - sequenceOf(b)) | 0;
}
