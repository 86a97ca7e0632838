/**
 * Rules that judge a thought about a rendered image by the scene that it was drawn from: is it sound, is it true, does the
 * answer follow. `sceneJudge` of `sailwright/rl` makes a reward of them.
 *
 * @since 0.1.0
 */
import type { ArithmeticScene } from './families/arithmetic.ts'
import type { ChartScene } from './families/chart.ts'
import { type CountScene, countedSoFar } from './families/count.ts'

/** What was said about a scene. */
export interface SaidOfImage {
  readonly thinking: string
  readonly answer: string
}

/** Three verdicts, and the statements that are wrong. */
export interface ImageVerdict {
  /** Every step follows from those before. */
  readonly soundness: 0 | 1
  /** What is said of the image is true. */
  readonly grounding: 0 | 1
  /** The answer is what the steps lead to. */
  readonly consistency: 0 | 1
  readonly wrong: readonly string[]
}

const binary = (holds: boolean): 0 | 1 => (holds ? 1 : 0)

/** Statements of a thought that are read; more are no thought of these families. */
const most = 200

const sumOf = (written: string): number =>
  (written.match(/[+-]?\d{1,6}/g) ?? []).reduce((sum, term) => sum + Number(term), 0)

const equations = /(\d{1,6}(?:[+-]\d{1,6}){1,5})=(\d{1,6})/g
const heads = /(\d{1,6}(?:[+-]\d{1,6}){1,5}):/g

/** `47+38: 7+8=15, 4+3+1=8`: the copied expression, then units and tens; with a third number twice so. */
const arithmetic = (s: ArithmeticScene, { thinking, answer }: SaidOfImage): ImageVerdict => {
  const steps = [...thinking.matchAll(equations)].slice(0, most)
  const copied = [...thinking.matchAll(heads)].map((m) => m[1]!)
  const shown = `${s.a}${s.sign}${s.b}${s.third === undefined ? '' : `${s.third.sign}${s.third.c}`}`
  const untrue = steps.filter(([, left, right]) => sumOf(left!) !== Number(right)).map(([all]) => all)
  /** The number whose units and tens two equations give. */
  const led = (i: number): number => 10 * Number(steps[i + 1]?.[2]) + (Number(steps[i]?.[2]) % 10)
  const whole = steps.length === (s.third === undefined ? 2 : 4)
  const handedOn = s.third === undefined || copied[1] === `${led(0)}${s.third.sign}${s.third.c}`
  const grounded = copied[0] === shown
  return {
    soundness: binary(whole && untrue.length === 0 && handedOn),
    grounding: binary(grounded),
    consistency: binary(whole && String(led(steps.length - 2)) === answer.trim()),
    wrong: [...untrue, ...(grounded ? [] : [copied[0] ?? 'no expression'])],
  }
}

/** `E=5 D=4 A=9, D=4`: what each bar shows, then the one that is asked for, or the highest. */
const chart = (s: ChartScene, { thinking, answer }: SaidOfImage): ImageVerdict => {
  const claims = [...thinking.matchAll(/(?<![A-Za-z])([A-Za-z])=(\d{1,6})(?!\d)/g)].slice(0, most)
  const values = new Map(s.bars.map(({ letter, value }) => [letter as string, value]))
  const untrue = claims
    .filter(([, letter, value]) => values.get(letter!) !== Number(value))
    .map(([all]) => all)
  const read = claims.slice(0, -1)
  const last = claims.at(-1)
  const contradicted = read.some(([, letter, value]) => read.some((r) => r[1] === letter && r[2] !== value))
  const lookedUp = last !== undefined && read.some(([all]) => all === last[0])
  const highest = s.asked !== null || read.every(([, , value]) => Number(value) <= Number(last?.[2]))
  return {
    soundness: binary(lookedUp && highest && !contradicted),
    grounding: binary(claims.length > 0 && untrue.length === 0),
    consistency: binary(
      last !== undefined &&
        (s.asked === null || last[1] === s.asked) &&
        last[s.asked === null ? 1 : 2] === answer.trim(),
    ),
    wrong: untrue,
  }
}

/** `0011223…`: how many have been seen after each place. */
const count = (s: CountScene, { thinking, answer }: SaidOfImage): ImageVerdict => {
  const truth = countedSoFar(s)
  const digits = /^[\d\s,]{1,400}$/.test(thinking.trim()) ? thinking.replaceAll(/\D/g, '') : ''
  const said = [...digits].map(Number)
  const wrong = said.flatMap((n, i) => (n === truth[i] ? [] : [`place ${i + 1}: ${n}`]))
  const rises = said.every((n, i) => i === 0 || n >= said[i - 1]!)
  return {
    soundness: binary(said.length === truth.length && rises),
    grounding: binary(said.length > 0 && wrong.length === 0),
    consistency: binary(said.length > 0 && String(said.at(-1)) === answer.trim()),
    wrong: said.length === 0 ? ['no count'] : wrong.slice(0, 20),
  }
}

/**
 * The rules of the families that write steps. Reading a string has none: there is nothing to work out.
 *
 * @category judges
 */
export const sceneRules = { arithmetic, chart, count } as const
