/**
 * What a measurement gives, and the numbers that are made from its blocks.
 *
 * @since 0.1.0
 */
import { present } from '../settings/internal.ts'
import type { Agreement } from './agreement.ts'
import type { BenchCase } from './case.ts'
import type { Machine } from './machine.ts'

/** Several measurements of one thing. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** Median, least and largest. @throws RangeError where there is nothing */
export const spread = (xs: readonly number[]): Spread => {
  if (xs.length === 0) throw new RangeError('nothing was measured')
  const sorted = [...xs].sort((a, b) => a - b)
  const half = sorted.length / 2
  return {
    median: (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2,
    min: sorted[0]!,
    max: sorted[sorted.length - 1]!,
  }
}

/** One block of steps. */
export interface Block {
  readonly samplesPerSecond: number
  /** Processor time of all threads a step. */
  readonly processorSeconds: number
  /** Cores that other programs used meanwhile. */
  readonly others: number
}

/** A round is quiet where other programs used less than this many cores in each of its blocks. */
export const quietCores = 0.15
/** Fewer quiet rounds than this are not enough to count alone. */
export const fewestQuiet = 3

/** The quiet ones among the rounds, from 0, given each contender's blocks. */
export const quietRounds = (blocks: readonly (readonly Block[])[]): readonly number[] =>
  Array.from({ length: Math.min(...blocks.map((b) => b.length)) }, (_, round) => round).filter((round) =>
    blocks.every((b) => b[round]!.others < quietCores),
  )

/** One that was measured. */
export interface Measured {
  readonly status: 'measured'
  readonly name: string
  readonly version: string
  readonly blocks: readonly Block[]
  readonly samplesPerSecond: Spread
  /** Processor time of all threads a step; threads that spin while they wait for each other count. */
  readonly processorSeconds: Spread
  /** Times as fast as PyTorch eager in the same round; absent where that is not known or the two do not compute the same. */
  readonly ratio?: Spread
  /** The most memory that its process held, in bytes. */
  readonly peakBytes: number
  /** Seconds from the process's start to the library loaded. */
  readonly libraryLoaded: number
  /** Seconds from the model as a value to the first step done, and their parts in order. */
  readonly firstStep: { readonly seconds: number; readonly parts: Readonly<Record<string, number>> }
  /** Processor time over waiting time while others had their turn: 0 where it slept, 1 a thread that spun. */
  readonly idleLoad: number
}

/** One that was not measured, and why. */
export interface Missing {
  /** `absent`: it is not on this machine; `failed`: it was, and did not work. */
  readonly status: 'absent' | 'failed'
  readonly name: string
  readonly why: string
}

/** A whole measurement. */
export interface BenchResult {
  readonly case: BenchCase
  readonly parameters: number
  /** Blocks that each had, and steps a block. */
  readonly rounds: number
  readonly steps: number
  /** How many of the rounds were quiet; where they are {@link fewestQuiet} or more, they alone are counted. */
  readonly quiet: number
  readonly counted: number
  /** ISO 8601. */
  readonly startedAt: string
  readonly machine: Machine
  /** Processes that wanted to run, a minute's average before and after (on Linux and macOS). */
  readonly load: { readonly before: number; readonly after: number }
  /** Whose losses the others were compared with. */
  readonly reference?: string
  readonly agreements: readonly Agreement[]
  readonly contenders: readonly (Measured | Missing)[]
}

/** Ratios to a base, round by round: what slows the machine down for a while slows both. */
export const ratioTo = (base: readonly number[], blocks: readonly number[]): Spread | undefined => {
  const ratios = blocks.flatMap((x, i) => (base[i] === undefined ? [] : [x / base[i]]))
  return ratios.length === 0 ? undefined : spread(ratios)
}

/** One that ran to its end, before its blocks are summed up. */
export type Finished = Omit<Measured, 'status' | 'samplesPerSecond' | 'processorSeconds' | 'ratio'>

/**
 * Sums blocks up: over the quiet rounds where there are enough, else over all.
 *
 * @param base the one that ratios are taken to
 * @param same whether one computes what the reference computes; without that it has no ratio, nor gives any
 */
export const summedUp = (
  finished: readonly Finished[],
  base: string,
  same: (name: string) => boolean,
): {
  readonly measured: readonly Measured[]
  readonly rounds: number
  readonly quiet: number
  readonly counted: number
} => {
  const rounds = Math.max(0, ...finished.map((f) => f.blocks.length))
  const quiet = finished.length === 0 ? [] : quietRounds(finished.map((f) => f.blocks))
  const use = quiet.length >= fewestQuiet ? quiet : Array.from({ length: rounds }, (_, i) => i)
  const speeds = (f: Finished): readonly number[] => use.map((i) => f.blocks[i]!.samplesPerSecond)
  const of = finished.find((f) => f.name === base && same(base))
  const measured = finished.map((f): Measured => {
    const ratio = of !== undefined && same(f.name) ? ratioTo(speeds(of), speeds(f)) : undefined
    return {
      status: 'measured',
      ...f,
      samplesPerSecond: spread(speeds(f)),
      processorSeconds: spread(use.map((i) => f.blocks[i]!.processorSeconds)),
      ...present({ ratio }),
    }
  })
  return { measured, rounds, quiet: quiet.length, counted: use.length }
}
