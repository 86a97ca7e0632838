/**
 * The command line, checked against a command's declaration.
 *
 * @since 0.1.0
 */
import { parseArgs } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import { called, didYouMean } from '../terminal/index.ts'
import { type Args, type CliError, type Command, type Flag, refuse } from './command.ts'

const shown = (flags: Readonly<Record<string, Flag>>): string =>
  [...Object.keys(flags), 'help'].map((f) => `--${f}`).join(', ')

/**
 * Reads the words after a command's name. Options may stand anywhere, as `--out folder` or `--out=folder`; an option
 * that takes a list takes all words up to the next option; after `--` everything is an argument. Fails with what is wrong and what is possible.
 */
export const parse = (command: Command, words: readonly string[]): E.Either<CliError, Args> => {
  const { tokens } = parseArgs({
    args: [...words],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: Object.fromEntries(
      Object.entries(command.flags).map(([name, f]) => [
        name,
        { type: f.value === undefined ? ('boolean' as const) : ('string' as const) },
      ]),
    ),
  })
  const values = new Map<string, string[]>()
  const positionals: string[] = []
  const wrong = (message: string): E.Either<CliError, never> => refuse(`${command.name}: ${message}`)
  /** The option whose list goes on. */
  let open: string[] | undefined
  for (const token of tokens) {
    if (token.kind === 'positional') (open ?? positionals).push(token.value)
    else open = undefined
    if (token.kind !== 'option') continue
    const flag = Object.hasOwn(command.flags, token.name) ? command.flags[token.name]! : undefined
    if (flag === undefined)
      return wrong(
        `there is no option ${token.rawName}.${didYouMean(token.name, [...Object.keys(command.flags), 'help'])} The options are ${shown(command.flags)}.`,
      )
    const checked = checkValue(token.name, flag, token.value, token.inlineValue === true)
    if (E.isLeft(checked)) return wrong(checked.left)
    const before = values.get(token.name)
    if (before !== undefined && flag.many !== true && flag.list !== true)
      return wrong(`--${token.name} is given twice; say it once.`)
    const all = [...(before ?? []), checked.right]
    values.set(token.name, all)
    if (flag.list === true) open = all
  }
  if (positionals.includes('')) return wrong(`an argument is empty. Usage: ${usageLine(command)}`)
  const either = (command.oneOf ?? []).filter((f) => values.has(f))
  if (either.length > 1) return wrong(`only one of ${either.map((f) => `--${f}`).join(', ')} at a time.`)
  const missing = command.positionals.find((p, i) => p.required && i >= positionals.length)
  if (missing !== undefined)
    return wrong(`<${missing.name}> is missing: ${missing.help}. Usage: ${usageLine(command)}`)
  const extra =
    command.positionals.at(-1)?.many === true ? undefined : positionals[command.positionals.length]
  if (extra !== undefined) return wrong(`'${extra}' is one argument too many. Usage: ${usageLine(command)}`)
  return E.right({
    positionals,
    text: (f) => values.get(f)?.at(-1),
    all: (f) => values.get(f) ?? [],
    on: (f) => values.has(f),
    integer: (f) => (values.has(f) ? Number(values.get(f)!.at(-1)) : undefined),
    typed: words,
  })
}

const checkValue = (
  name: string,
  flag: Flag,
  value: string | undefined,
  inline: boolean,
): E.Either<string, string> => {
  if (flag.value === undefined)
    return inline ? E.left(`--${name} takes no value; leave '=${value}' out.`) : E.right('')
  const wanted = flag.choices === undefined ? `<${flag.value}>` : `one of ${flag.choices.join(', ')}`
  if (value === undefined || value === '' || (!inline && value.startsWith('--')))
    return E.left(`--${name} needs ${wanted}: ${flag.help}.`)
  if (flag.choices !== undefined && !flag.choices.includes(value))
    return E.left(`--${name} is ${wanted}, and not '${value}'.${didYouMean(value, flag.choices)}`)
  const isWithin = (n: number, from: number, to = Number.MAX_SAFE_INTEGER): boolean => n >= from && n <= to
  if (
    flag.integerFrom !== undefined &&
    !(/^-?\d+$/.test(value) && isWithin(Number(value), flag.integerFrom, flag.integerTo))
  )
    return E.left(
      `--${name} is an integer from ${flag.integerFrom} ${flag.integerTo === undefined ? 'on' : `to ${flag.integerTo}`}, and not '${value}'.`,
    )
  return E.right(value)
}

/** `sailwright run <file.ts> [options]`. */
export const usageLine = (command: Command): string =>
  [
    `${called()} ${command.name}`,
    ...command.positionals.map(
      (p) => `${p.required ? `<${p.name}>` : `[${p.name}]`}${p.many === true ? ' …' : ''}`,
    ),
    ...(Object.keys(command.flags).length > 0 ? ['[options]'] : []),
  ].join(' ')
