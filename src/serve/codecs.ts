/** Codecs of request bodies, named by what may stand there, and what is wrong with a body in words. */
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { RequestError } from './request-error.ts'

const refined = <A>(name: string, is: (u: unknown) => u is A): t.Type<A, A, unknown> =>
  new t.Type(
    name,
    is,
    (u, c) => (is(u) ? t.success(u) : t.failure(u, c)),
    (a) => a,
  )

/** A finite number from one to another. */
export const numberFrom = (least: number, most = Number.POSITIVE_INFINITY) =>
  refined(
    most === Number.POSITIVE_INFINITY ? `a number from ${least} on` : `a number from ${least} to ${most}`,
    (u): u is number => typeof u === 'number' && Number.isFinite(u) && u >= least && u <= most,
  )

/** A whole number from one to another. */
export const wholeFrom = (least: number, most = Number.MAX_SAFE_INTEGER) =>
  refined(
    most === Number.MAX_SAFE_INTEGER
      ? `a whole number from ${least} on`
      : `a whole number from ${least} to ${most}`,
    (u): u is number => typeof u === 'number' && Number.isSafeInteger(u) && u >= least && u <= most,
  )

/** A text. */
export const text = refined('a text', (u): u is string => typeof u === 'string')
/** `true` or `false`. */
export const flag = refined('true or false', (u): u is boolean => typeof u === 'boolean')
/** One of a few values. */
export const oneOf = <const A extends string | number>(...values: readonly A[]) =>
  refined(values.map((v) => JSON.stringify(v)).join(' or '), (u): u is A =>
    (values as readonly unknown[]).includes(u),
  )

/** What a union should be called: io-ts only shows its members. */
export const either = <A extends t.Mixed, B extends t.Mixed>(name: string, a: A, b: B) =>
  t.union([a, b], name)

const shown = (u: unknown): string => {
  const json = JSON.stringify(u) ?? String(u)
  return json.length <= 60 ? json : `${json.slice(0, 57)}...`
}

const tagOf = (type: unknown): unknown => (type as { readonly _tag?: unknown } | undefined)?._tag
const combines = (type: unknown): boolean => tagOf(type) === 'UnionType' || tagOf(type) === 'IntersectionType'

/** `messages[0].content`. */
const pathOf = (context: t.Context): string =>
  context
    .filter(({ key }, i) => key !== '' && !combines(context[i - 1]?.type))
    .reduce(
      (path, { key }) => (/^\d+$/.test(key) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`),
      '',
    )

/** What should stand at the end of a context: of a union, whatever it may be. */
const wantedAt = (context: t.Context): string => {
  let at = context.length - 1
  while (at > 0 && combines(context[at - 1]!.type)) at--
  return context[at]!.type.name
}

/**
 * A body as a codec has it. A setting that is null is as one that is not given.
 *
 * @throws RequestError 400, which names the place that fits least
 */
export const decoded = <A>(codec: t.Decoder<unknown, A>, body: unknown): A => {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new RequestError(400, `the body is ${shown(body)}; give an object`)
  const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
  const made = codec.decode(given)
  if (E.isRight(made)) return made.right
  const faults = made.left.map((e) => ({ e, path: pathOf(e.context) }))
  const depth = (path: string): number => path.split(/[.[]/).length
  const deepest = faults.reduce((a, b) => (depth(b.path) > depth(a.path) ? b : a))
  const { e, path } = deepest
  const is = e.value === undefined ? 'is missing' : `is ${shown(e.value)}`
  throw new RequestError(400, `${path} ${is}; give ${wantedAt(e.context)}`, { param: path })
}
