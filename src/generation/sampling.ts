/**
 * How a token is drawn from logits: the settings, the probabilities that they leave, and one draw.
 *
 * Order and meaning of the filters are those of transformers' logits processors: repetition penalty, temperature, top-k,
 * top-p, min-p, each over what the ones before it left.
 *
 * @since 0.1.0
 */
import { type TensorValue, tensorValue } from '../engine/index.ts'
import { onlySettings } from '../settings/index.ts'
import { settingName } from '../settings/internal.ts'
import { numberSetting, RecipeError, wholeSetting } from '../train/index.ts'
import { bools, floats, ints } from '../train/internal.ts'

/** How tokens are drawn. */
export interface Sampling {
  /** Most tokens of an answer, the one that ends it included. */
  readonly maxNewTokens: number
  /** 0: the likeliest token, always. Default 1. */
  readonly temperature?: number
  /** Only the `topK` likeliest tokens; default: all. */
  readonly topK?: number
  /** Only the likeliest tokens that together have this probability; default 1. */
  readonly topP?: number
  /** Only tokens at least this many times as likely as the likeliest; default 0. */
  readonly minP?: number
  /** Above 1, what prompt or answer already has becomes less likely; default 1. */
  readonly repetitionPenalty?: number
  /** Tokens that end an answer beside the one that ends a turn; default none. */
  readonly stopIds?: readonly number[]
}

/** {@link Sampling} with every setting. */
export type Settled = Required<Sampling>

/**
 * Checks how tokens are to be drawn, and fills in what is not said.
 *
 * @param where what is given the settings, as messages name it
 * @param within the setting that they are the value of, where they are
 * @throws RecipeError, which names the setting
 */
export const settled = (s: Sampling, where = 'sampling', within?: string): Settled => {
  const known = ['maxNewTokens', 'temperature', 'topK', 'topP', 'minP', 'repetitionPenalty', 'stopIds']
  onlySettings(where, s, known, within)
  const at = (name: string): string => settingName(name, within)
  const share = (name: 'topP' | 'minP', otherwise: number): number => {
    const x = numberSetting(where, at(name), s[name] ?? otherwise)
    if (x > 1) throw new RecipeError(where, at(name), `it is ${x}; give a probability, at most 1`)
    return x
  }
  const topP = share('topP', 1)
  if (topP === 0) throw new RecipeError(where, at('topP'), 'it is 0, which leaves no token; give more')
  return {
    maxNewTokens: wholeSetting(where, at('maxNewTokens'), s.maxNewTokens, 1),
    temperature: numberSetting(where, at('temperature'), s.temperature ?? 1),
    topK: s.topK === undefined ? Number.MAX_SAFE_INTEGER : wholeSetting(where, at('topK'), s.topK, 1),
    topP,
    minP: share('minP', 0),
    repetitionPenalty: numberSetting(where, at('repetitionPenalty'), s.repetitionPenalty ?? 1, true),
    stopIds: (s.stopIds ?? []).map((id, i) => wholeSetting(where, at(`stopIds[${i}]`), id, 0)),
  }
}

/** Whether the filters leave every token of a vocabulary. */
export const unfiltered = ({ topK, topP, minP }: Settled, vocab: number): boolean =>
  topK >= vocab && topP === 1 && minP === 0

/** What is added to logits `[vocab]`, so that these tokens are never drawn. */
export const biasOf = (vocab: number, never: readonly number[] = []): TensorValue => {
  const bias = new Float32Array(vocab)
  for (const id of never) bias[id] = Number.NEGATIVE_INFINITY
  return tensorValue('float32', [vocab], bias)
}

/**
 * How each row of a call filters its tokens and makes those less likely that it has, as inputs.
 *
 * @param seen whether a row has a token: 1 or 0. Shape [row, vocab]
 */
export const filterInputs = (
  settings: readonly Settled[],
  vocab: number,
  seen: Uint8Array,
): Readonly<Record<string, TensorValue>> => {
  const rows = settings.length
  const each = (of: (s: Settled) => number): TensorValue => floats(Float32Array.from(settings, of), rows)
  return {
    top_k: ints(
      Int32Array.from(settings, (s) => Math.min(s.topK, vocab)),
      rows,
    ),
    top_p: each((s) => s.topP),
    min_p: each((s) => s.minP),
    penalty: each((s) => s.repetitionPenalty),
    seen: bools(seen, rows, vocab),
  }
}

/** The place of the largest, the first of them. */
const largest = (xs: ArrayLike<number>): number => {
  let best = 0
  for (let i = 1; i < xs.length; i++) if (xs[i]! > xs[best]!) best = i
  return best
}

/** Softmax in float64, of logits divided by a temperature; and the logarithm of the sum under it. */
const softmax = (
  logits: ArrayLike<number>,
  temperature: number,
): { readonly p: Float64Array; readonly logTotal: number } => {
  const top = logits[largest(logits)]!
  const p = new Float64Array(logits.length)
  let total = 0
  for (let i = 0; i < p.length; i++) total += p[i] = Math.exp((logits[i]! - top) / temperature)
  for (let i = 0; i < p.length; i++) p[i]! /= total
  return { p, logTotal: top / temperature + Math.log(total) }
}

/** What a draw depends on beside logits and settings. */
export interface Beside {
  /** Tokens that prompt and answer have, for the repetition penalty. */
  readonly seen?: ReadonlySet<number> | undefined
  /** Tokens that are never drawn. */
  readonly never?: readonly number[] | undefined
}

/**
 * Logits of which those of seen tokens are made smaller (divided by the penalty, or multiplied where negative) and those
 * of tokens that are never drawn are −∞.
 */
const adjusted = (
  logits: ArrayLike<number>,
  penalty: number,
  { seen, never = [] }: Beside,
): ArrayLike<number> => {
  const again = penalty === 1 ? undefined : seen
  if (again === undefined && never.length === 0) return logits
  const out = Float64Array.from(logits)
  for (const id of again ?? []) out[id] = out[id]! > 0 ? out[id]! / penalty : out[id]! * penalty
  for (const id of never) out[id] = Number.NEGATIVE_INFINITY
  return out
}

/** Sets what is unlikely to 0: all but the `topK` likeliest, then by `topP` and `minP`. Ties with the last that is left stay. */
const filtered = (p: Float64Array, { topK, topP, minP }: Settled): Float64Array => {
  const all = topK >= p.length && topP === 1
  if (all && minP === 0) return p
  const order = all ? undefined : Array.from(p.keys()).sort((a, b) => p[b]! - p[a]! || a - b)
  if (order !== undefined) {
    const least = topK < p.length ? p[order[topK - 1]!]! : 0
    let kept = 0
    for (const i of order) {
      if (p[i]! < least) p[i] = 0
      kept += p[i]!
    }
    let before = 0
    // the likeliest stays, whatever topP is
    let last = p[order[0]!]!
    for (const i of order) {
      if (before < topP) last = p[i]!
      before += p[i]! / kept
    }
    for (const i of order) if (p[i]! < last) p[i] = 0
  }
  const least = minP * p[order?.[0] ?? largest(p)]!
  for (let i = 0; i < p.length; i++) if (p[i]! < least) p[i] = 0
  return p
}

/**
 * The probabilities from which a token is drawn: of one row of logits, after everything that the settings ask for. At
 * temperature 0 the likeliest token has them all.
 *
 * @returns shape [vocab]
 */
export const probabilities = (logits: ArrayLike<number>, s: Settled, beside: Beside = {}): Float64Array => {
  const fair = adjusted(logits, s.repetitionPenalty, beside)
  if (s.temperature === 0) {
    const out = new Float64Array(logits.length)
    out[largest(fair)] = 1
    return out
  }
  const left = filtered(softmax(fair, s.temperature).p, s)
  const total = left.reduce((a, b) => a + b, 0)
  return left.map((x) => x / total)
}

/** Logits that are no numbers: the model that gave them has diverged, or a token of it sees nothing. */
export class LogitsError extends Error {
  readonly tag = 'BadLogits'
  /** @param to what was to be answered: the id of a prompt */
  constructor(at: number, found: unknown, to?: string) {
    super(
      `the model's logit of token ${at}${to === undefined ? '' : `, in the answer to ${to},`} is ${found}: its weights have diverged (take them from before, or learn at a lower rate), or a mask of the model's own hides all that a token could attend to, the token itself too (let each see itself)`,
    )
    this.name = 'LogitsError'
  }
}

/** A token, and the natural logarithm of its probability. */
export interface Drawn {
  readonly id: number
  readonly logProb: number
}

/**
 * Draws a token by one number: the first token, in the order of ids, at which the probabilities added up exceed `uniform`.
 *
 * Its log-probability is under softmax(logits / temperature), before repetition penalty and filters; at temperature 0
 * under softmax(logits). That is what a trained policy is compared with.
 *
 * @param uniform from 0, below 1
 * @throws LogitsError where a logit is NaN or +∞
 */
export const draw = (logits: ArrayLike<number>, s: Settled, uniform: number, beside: Beside = {}): Drawn => {
  for (let i = 0; i < logits.length; i++)
    if (!(logits[i]! < Number.POSITIVE_INFINITY)) throw new LogitsError(i, logits[i])
  const p = probabilities(logits, s, beside)
  let id = -1
  let reached = 0
  for (let i = 0; i < p.length; i++) {
    if (p[i] === 0) continue
    reached += p[i]!
    // rounding of the sum may end below the number: then it is the last token that can be drawn
    id = i
    if (reached > uniform) break
  }
  const temperature = s.temperature === 0 ? 1 : s.temperature
  return { id, logProb: logits[id]! / temperature - softmax(logits, temperature).logTotal }
}
