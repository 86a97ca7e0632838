/**
 * Rules that judge each step of a thought about a rendered image by itself, by the scene that it was drawn from.
 * `sceneSteps` of `sailwright/rl` makes a reward of them.
 *
 * @since 0.1.0
 */
import { type ArithmeticScene, steps } from './families/arithmetic.ts'
import type { ChartScene } from './families/chart.ts'
import { type CountScene, countedSoFar } from './families/count.ts'

/** A piece of a thought from the character `from` to before `to`, and whether it holds. */
export interface SceneStep {
  readonly from: number
  readonly to: number
  readonly holds: boolean
  /** What it is about, in a word: steps about the same are compared with one another. */
  readonly about?: string
}

/** Steps of a thought that are read; more are no thought of these families. */
const most = 200

/** `0011223…`: a digit holds where it adds to the one before what lies at its place. */
const count = (s: CountScene, thinking: string): readonly SceneStep[] => {
  const truth = countedSoFar(s)
  const added = (all: readonly number[], i: number): number => all[i]! - (all[i - 1] ?? 0)
  const said = [...thinking.slice(0, most)].map((d) => (/\d/.test(d) ? Number(d) : Number.NaN))
  return said.map((_, i) => ({
    from: i,
    to: i + 1,
    holds: i < truth.length && added(said, i) === added(truth, i),
    about: 'place',
  }))
}

/**
 * `E=5 D=4, D=4`: which bar comes after the last one that was named, and what it shows; whether none is left at the comma; then
 * the one that is asked for, or the highest, as it was read. A bar that is left out makes one step wrong and not all behind it.
 */
const chart = (s: ChartScene, thinking: string): readonly SceneStep[] => {
  const [list = ''] = thinking.split(',', 1)
  const claims = [...thinking.matchAll(/([A-Za-z])=(\d{1,6})(?!\d)/g)].slice(0, most)
  const read = claims.filter((c) => c.index < list.length)
  const found: SceneStep[] = []
  let at = -1
  let end = 0
  for (const { index, 1: letter = '', 2: value = '' } of read) {
    const named = s.bars.findIndex((b) => b.letter === letter)
    found.push({ from: end, to: index + 1, holds: named === at + 1, about: 'next bar' })
    at = named < 0 ? Math.min(at + 1, s.bars.length - 1) : named
    end = index + 2 + value.length
    found.push({ from: index + 1, to: end, holds: value === String(s.bars[at]!.value), about: 'bar' })
  }
  if (list.length < thinking.length)
    found.push({ from: end, to: list.length + 1, holds: at === s.bars.length - 1, about: 'next bar' })
  const highest = Math.max(...read.map(([, , value]) => Number(value)))
  for (const [i, { index, 0: said, 1: letter, 2: value = '' }] of claims.slice(read.length).entries()) {
    const isAsked =
      s.asked === null ? read.some((r) => r[1] === letter && Number(r[2]) === highest) : letter === s.asked
    const [middle, last] = [index + 1, index + said.length]
    found.push({ from: index, to: middle, holds: i === 0 && isAsked, about: 'asked' })
    found.push({
      from: middle,
      to: last,
      holds: read.some(([all]) => all === `${letter}=${value}`),
      about: 'looked up',
    })
  }
  return found
}

/**
 * `47+38: 7+8=15, 4+3+1=8`: each character of the copied expression; then each statement, until one does not follow from the
 * expression as it was copied.
 */
const arithmetic = (s: ArithmeticScene, thinking: string): readonly SceneStep[] => {
  const third = s.third === undefined ? '' : `${s.third.sign}${s.third.c}`
  const shown = `${s.a}${s.sign}${s.b}${third}:`
  const copied = thinking.slice(0, thinking.indexOf(':') + 1).slice(0, most)
  const found: SceneStep[] = [...copied].map((c, i) => ({
    ...{ from: i, to: i + 1, holds: c === shown[i] },
    about: 'copied',
  }))
  const terms = /^(\d{1,6})([+-])(\d{1,6})(?:([+-])(\d{1,6}))?:$/.exec(copied)
  if (terms === null) return found
  const [a, sign, b, next, c] = terms.slice(1)
  const more = next === undefined ? undefined : ({ sign: next as '+' | '-', c: Number(c) } as const)
  const follows = steps(Number(a), sign as '+' | '-', Number(b), more).steps
  for (const { 0: said, index } of thinking.slice(copied.length).matchAll(/[^,:]+[,:]?/g)) {
    const [from, to] = [copied.length + index, copied.length + index + said.length]
    const holds = follows.slice(from, to) === said
    found.push({ from, to, holds, about: 'statement' })
    if (!holds || found.length >= most) break
  }
  return found
}

/**
 * The rules of the families that write steps. Reading a string has none.
 *
 * @category judges
 */
export const stepRules = { arithmetic, chart, count } as const
