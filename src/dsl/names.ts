/** Computing with tuples of axis names in the type system. */
import type { Names } from './axis.ts'

/** `N` without the names in `K`. */
export type Without<N extends Names, K extends string> = N extends readonly [
  infer H extends string,
  ...infer T extends Names,
]
  ? H extends K
    ? Without<T, K>
    : readonly [H, ...Without<T, K>]
  : N extends readonly []
    ? readonly []
    : Names

/** `N` with `From` called `To`. */
export type Renamed<N extends Names, From extends string, To extends string> = N extends readonly [
  infer H extends string,
  ...infer T extends Names,
]
  ? readonly [H extends From ? To : H, ...Renamed<T, From, To>]
  : N extends readonly []
    ? readonly []
    : Names

/** `N` with `From` replaced by the names in `To` (a split axis). */
export type Replaced<N extends Names, From extends string, To extends Names> = N extends readonly [
  infer H extends string,
  ...infer T extends Names,
]
  ? H extends From
    ? readonly [...To, ...T]
    : readonly [H, ...Replaced<T, From, To>]
  : N extends readonly []
    ? readonly []
    : Names

/** The axes of an elementwise result: the larger side where one holds the other's names, else A's and then B's own. */
export type Joined<A extends Names, B extends Names> = [B[number]] extends [A[number]]
  ? A
  : [A[number]] extends [B[number]]
    ? B
    : readonly [...A, ...Without<B, A[number]>]

/** The axes of a contraction: what both share and do not sum (batch), then A's own, then B's own. */
export type Contracted<A extends Names, B extends Names, K extends string> = readonly [
  ...Without<A, Exclude<A[number], Exclude<B[number], K>>>,
  ...Without<A, B[number] | K>,
  ...Without<B, A[number] | K>,
]
