/**
 * What a reward reads is what tasks carry, or it does not compile.
 *
 * @since 0.1.0
 */
import type { Columns } from './task.ts'

/** Why a program does not compile: the tasks have no column of these names. */
export interface MissingColumn<Name> {
  readonly 'the reward reads a column that these tasks do not have': Name
}

/** Why a program does not compile: the tasks have the columns, but as other types than the reward reads. */
export interface OtherColumn<Names> {
  readonly 'the reward reads a column as another type than these tasks have it': Names
}

/** The names of columns that a type spells out. */
type Named<C> = keyof { [K in keyof C as string extends K ? never : K]: C[K] }

/** The columns that are there as another type. */
type OtherNames<Has, Needs> = {
  [K in Named<Needs> & Named<Has>]: Has[K] extends Needs[K] ? never : K
}[Named<Needs> & Named<Has>]

/** Asks nothing where tasks with the columns `Has` suit a reward that reads `Needs`, and the impossible where they do not. */
export type Reads<Has extends Columns, Needs extends Columns> = [Has] extends [Needs]
  ? unknown
  : [Exclude<Named<Needs>, Named<Has>>] extends [never]
    ? OtherColumn<OtherNames<Has, Needs>>
    : MissingColumn<Exclude<Named<Needs>, Named<Has>>>
