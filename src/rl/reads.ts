/**
 * What a reward reads is what tasks carry, or it does not compile.
 *
 * @since 0.1.0
 */
import type { Columns } from './task.ts'

/** What the compiler shows where a reward reads columns that the tasks lack. */
export interface MissingColumns<Names> {
  readonly 'the reward reads columns that the tasks lack': Names
}

/** What the compiler shows where tasks carry columns of another type than the reward reads. */
export interface OtherColumns<Names> {
  readonly 'the tasks carry these columns with another type than the reward reads': Names
}

/** Asks nothing where tasks with the columns `Has` suit a reward that reads `Needs`, and the impossible where they do not. */
export type Reads<Has extends Columns, Needs extends Columns> = Has extends Needs
  ? unknown
  : [Exclude<keyof Needs, keyof Has>] extends [never]
    ? OtherColumns<
        { [K in keyof Needs & keyof Has]: Has[K] extends Needs[K] ? never : K }[keyof Needs & keyof Has]
      >
    : MissingColumns<Exclude<keyof Needs, keyof Has>>
