/**
 * What a judge replies: a JSON object somewhere in a text, decoded strictly.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'

/** 0 or 1; false and true are taken for them. */
export const Binary = new t.Type<0 | 1, 0 | 1, unknown>(
  'Binary',
  (u): u is 0 | 1 => u === 0 || u === 1,
  (u, c) =>
    u === 0 || u === false ? t.success(0) : u === 1 || u === true ? t.success(1) : t.failure(u, c, '0 or 1'),
  t.identity,
)

const Why = t.partial({ why: t.string })

/** The reply to `assets/judge/think.txt`. */
export const ThinkReply = t.intersection([
  t.type({ soundness: Binary, grounding: Binary, consistency: Binary }),
  Why,
])

/** The reply to `assets/judge/answer.txt`. */
export const AnswerReply = t.intersection([t.type({ correct: Binary }), Why])

/** Characters of a reply that are read. */
const most = 100_000

/** The last `{…}` of a text that is closed, whatever stands around it: sentences, code fences, reasoning. */
const lastObject = (text: string): string | undefined => {
  let [depth, from, quoted] = [0, 0, false]
  let found: string | undefined
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (quoted) {
      if (c === '\\') i++
      else if (c === '"') quoted = false
    } else if (c === '"' && depth > 0) quoted = true
    else if (c === '{') {
      if (depth++ === 0) from = i
    } else if (c === '}' && depth > 0 && --depth === 0) found = text.slice(from, i + 1)
  }
  return found
}

/** A reply as its codec reads it, or in words why it is none. */
export const decodeReply = <A>(codec: t.Type<A, unknown, unknown>, text: string): E.Either<string, A> => {
  const shown = text.length > 120 ? `${text.slice(0, 120)}…` : text
  if (text.length > most) return E.left(`the judge's reply has ${text.length} characters`)
  const json = lastObject(text.split('</think>').at(-1)!)
  if (json === undefined) return E.left(`the judge's reply has no JSON object: ${shown}`)
  try {
    const decoded = codec.decode(JSON.parse(json))
    if (E.isRight(decoded)) return decoded
    const at = decoded.left[0]?.context.map((c) => c.key).filter((key) => key !== '' && !/^\d+$/.test(key))
    return E.left(`the judge's reply is not what was asked for, ${at?.join('.') || 'as a whole'}: ${shown}`)
  } catch {
    return E.left(`the judge's reply is no JSON: ${shown}`)
  }
}
