/** Types that let the compiler prove that two types are the same. */

/** `true` when A and B are identical, optional fields included; else `false`. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** T without `readonly`, all the way down; intersections and interfaces become plain object types. */
export type Mutable<T> = T extends readonly (infer U)[]
  ? Mutable<U>[]
  : T extends object
    ? { -readonly [K in keyof T]: Mutable<T[K]> }
    : T;
