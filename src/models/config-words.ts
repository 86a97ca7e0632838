/**
 * The parts that codecs of a published `config.json` are made of: one key's value, what it should be and what to do where
 * it is not; and the error that says so.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { quote } from '../formats/index.ts'

/**
 * The tags of {@link ConfigError}.
 *
 * - `Io`, `BadJson`: there is no such file, or it is no JSON object.
 * - `Missing`: a key that the model cannot be built without.
 * - `BadValue`: a value of the wrong kind, or one that contradicts another key.
 * - `Unsupported`: a published setting that no model here is built for.
 *
 * @category model
 */
export type ConfigErrorTag = 'Io' | 'BadJson' | 'Missing' | 'BadValue' | 'Unsupported'

/**
 * What is wrong with a configuration: `config.json, llm_config.head_dim: is missing; …`.
 *
 * @category model
 */
export class ConfigError extends Error {
  readonly tag: ConfigErrorTag
  /** The path of keys, `llm_config.head_dim`; `''` for the file as a whole. */
  readonly key: string
  constructor(tag: ConfigErrorTag, file: string, key: string, what: string) {
    super(`${file}${key === '' ? '' : `, ${key}`}: ${what}`)
    this.name = 'ConfigError'
    this.tag = tag
    this.key = key
  }
}

// --- words ------------------------------------------------------------------------------------------------

/** One key's value: what it should be and what to do where it is not. */
export class Word<A> extends t.Type<A, A, unknown> {
  readonly otherwise: ConfigErrorTag
  constructor(
    kind: string,
    is: (u: unknown) => u is A,
    todo: string,
    otherwise: ConfigErrorTag = 'BadValue',
  ) {
    super(
      kind,
      is,
      (u, c) =>
        is(u)
          ? t.success(u)
          : t.failure(
              u,
              c,
              u === undefined ? `is missing; add it: ${todo}` : `is ${quote(u)}, not ${kind}; ${todo}`,
            ),
      t.identity,
    )
    this.otherwise = otherwise
  }
}

const isCount = (u: unknown): u is number => Number.isSafeInteger(u) && (u as number) >= 1
const isPositive = (u: unknown): u is number => typeof u === 'number' && u > 0 && u < Infinity
const isBoolean = (u: unknown): u is boolean => typeof u === 'boolean'

/** A whole number from 1 on. */
export const count = (todo: string): t.Type<number, number, unknown> =>
  new Word('a whole number from 1 on', isCount, todo)
/** A number above 0. */
export const positive = (todo: string): t.Type<number, number, unknown> =>
  new Word('a positive number', isPositive, todo)

/** A key that may be left out or null. */
export const optional = <A, B>(codec: t.Type<A, A, unknown>, otherwise: B): t.Type<A | B, A | B, unknown> =>
  new Optional(codec, otherwise)

class Optional<A, B> extends t.Type<A | B, A | B, unknown> {
  readonly otherwise: ConfigErrorTag | undefined
  constructor(codec: t.Type<A, A, unknown>, value: B) {
    super(
      codec.name,
      (u): u is A | B => u === value || codec.is(u),
      (u, c) => (u === undefined || u === null ? t.success(value) : codec.validate(u, c)),
      t.identity,
    )
    this.otherwise = codec instanceof Word ? codec.otherwise : undefined
  }
}

/** A key that may only say what the model does anyway. */
export const only = <A extends string | number | boolean>(value: A, why: string): t.Type<A, A, unknown> =>
  optional(new Word(quote(value), (u): u is A => u === value, why, 'Unsupported'), value)

/** A key that says nothing here: what it may say elsewhere no model is built for. */
export const none = (why: string) =>
  optional(new Word('null', (u): u is undefined => u === undefined, why, 'Unsupported'), undefined)

/** One of some words. */
export const oneOf = <A extends string>(words: readonly A[], todo: string, otherwise?: ConfigErrorTag) => {
  const quoted = words.map(quote)
  const kind = `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`
  return new Word(kind, (u): u is A => words.some((word) => word === u), todo, otherwise)
}

/** Weights that were made smaller mean nothing without what makes them large again. */
export const unquantised = none(
  'weights are read as they are: take the model as it was before it was quantised',
)

/** True or false; where nothing is said, `otherwise`. */
export const flag = <B>(todo: string, otherwise: B) =>
  optional(new Word('true or false', isBoolean, todo), otherwise)

/** A codec by its published words; `build` also finds contradictions between keys, `[key, what]`. */
export const codec = <P extends t.Props, C, O extends object>(
  name: string,
  props: P,
  build: (words: t.TypeOfProps<P>) => C | readonly [key: string, what: string],
  encode: (c: C) => O,
): t.Type<C, O, unknown> => {
  const words = t.type(props)
  const validate = (u: unknown, c: t.Context): t.Validation<C> => {
    const read = words.validate(u, c)
    if (E.isLeft(read)) return read
    const built = build(read.right)
    return Array.isArray(built)
      ? t.failure(u, [...c, { key: built[0], type: words }], built[1])
      : t.success(built as C)
  }
  // what cannot be written in published words is none of ours
  const written = (u: unknown): E.Either<unknown, O> => E.tryCatch(() => encode(u as C), t.identity)
  const is = (u: unknown): u is C => {
    const out = written(u)
    return E.isRight(out) && E.isRight(validate(out.right, []))
  }
  return new t.Type<C, O, unknown>(name, is, validate, encode)
}

/** The first of a codec's errors as one of this area's. */
export const errorOf = (errors: t.Errors, file: string): ConfigError => {
  const { value, context, message } = errors[0]!
  const keys = context.map((c) => c.key).filter((k) => k !== '')
  const type = context[context.length - 1]!.type as { readonly otherwise?: ConfigErrorTag }
  const missing = value === undefined || message?.startsWith('is missing')
  const what = message ?? (missing ? 'is missing; add it' : `is ${quote(value)}, not an object of keys`)
  return new ConfigError(
    missing ? 'Missing' : (type.otherwise ?? 'BadValue'),
    file,
    keys.join('.'),
    errors.length === 1 ? what : `${what} (and ${errors.length - 1} more)`,
  )
}
