/**
 * A session in which a rule takes the place of a model: it reads prompts into rows and adds tokens to them as generation's
 * functions do, and the likeliest next token is what the rule says of all tokens of the row so far.
 */
import type { Program } from '../../src/dsl/index.ts'
import type { EngineError } from '../../src/engine/error.ts'
import type { Session, TensorValue } from '../../src/engine/session.ts'
import { type Answer, scripted } from './tiny.ts'

/** The next token after these. */
export type Rule = (ids: readonly number[]) => number

/** One call as the session saw it. */
export interface Seen {
  readonly call: string
  readonly inputs: Readonly<Record<string, readonly number[]>>
}

const none: Program = { name: 'rule', states: new Map(), functions: new Map() }

/** The session. `fail` may answer a call, counted from 0, with an error. */
export const ruled = (
  vocab: number,
  rule: Rule,
  seen: Seen[] = [],
  fail: (n: number) => EngineError | undefined = () => undefined,
): Session => {
  const rows: number[][] = []
  const logitsOf = (texts: readonly (readonly number[])[]): TensorValue => {
    const data = new Float32Array(texts.length * vocab)
    texts.forEach((ids, r) => {
      data[r * vocab + rule(ids)] = 9
    })
    return { shape: [texts.length, vocab], dtype: 'float32', data }
  }
  return scripted(none, (name, n, inputs): Answer => {
    const failed = fail(n)
    if (failed !== undefined) return failed
    const call = name.slice(name.lastIndexOf('.') + 1)
    const of = (input: string): readonly number[] => [...inputs[input]!.data]
    seen.push({ call, inputs: Object.fromEntries(Object.keys(inputs).map((k) => [k, of(k)])) })
    if (call === 'prefill') {
      const [count, tokens] = inputs.input_ids!.shape as [number, number]
      // without their last places they are read with what pads them: where a text goes on says how much of it counts
      const last = inputs.last === undefined ? undefined : of('last')
      const texts = Array.from({ length: count }, (_, i) =>
        of('input_ids').slice(i * tokens, last === undefined ? (i + 1) * tokens : i * tokens + last[i]! + 1),
      )
      of('source').forEach((from, row) => {
        if (from >= 0) rows[row] = [...texts[from]!]
      })
      return { logits: logitsOf(texts) }
    }
    const places = of('position')
    if (call === 'extend' || call === 'extendFiltered') {
      const [steps, count] = inputs.uniform!.shape as [number, number]
      const drawn = new Int32Array(steps * count)
      of('input_ids').forEach((id, row) => {
        const text = [...(rows[row] ?? []).slice(0, places[row]), id]
        for (let i = 0; i < steps; i++) {
          drawn[i * count + row] = rule(text)
          text.push(rule(text))
        }
        rows[row] = text
      })
      return {
        ids: { shape: [steps, count], dtype: 'int32', data: drawn },
        log_probs: { shape: [steps, count], dtype: 'float32', data: new Float32Array(steps * count) },
      }
    }
    of('input_ids').forEach((id, row) => {
      const text = rows[row] ?? []
      rows[row] = [...text.slice(0, places[row]), id]
    })
    return { logits: logitsOf(places.map((_, row) => rows[row]!)) }
  })
}
