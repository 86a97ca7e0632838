/**
 * What `--help` prints: of everything, and of one command.
 *
 * @since 0.1.0
 */
import { asCalled, called, fit, inked, type Look } from '../terminal/index.ts'
import type { Command, Flag } from './command.ts'
import { usageLine } from './parse.ts'

/** Cells that are longer have what they mean on the next line, and so have those beside which it has no room. */
const widest = 64
const leastRoom = 30

const rows = (cells: readonly (readonly [string, string])[], look: Look): string => {
  const columns = Math.min(look.columns, 100)
  const most = Math.min(widest, columns - leastRoom - 4)
  const room = Math.max(0, ...cells.map(([a]) => a.length).filter((n) => n <= most))
  return cells
    .map(([a, b]) => {
      const [first, ...more] = wrap(b, Math.max(leastRoom, columns - room - 4))
      const indent = ' '.repeat(room + 4)
      const head = `  ${inked(look, 'cyan', fit(a, room))}`
      return [
        ...(a.length > room ? [head, indent + first] : [`${head}  ${first}`]),
        ...more.map((l) => indent + l),
      ].join('\n')
    })
    .join('\n')
}

/** Breaks a text at blanks into lines of at most so many characters; a longer word stays whole. */
export const wrap = (text: string, columns: number): readonly string[] => {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

const flagHelp = (f: Flag): string => {
  const choices = f.choices === undefined ? '' : ` (${f.choices.join(', ')})`
  const otherwise = f.otherwise === undefined ? '' : `; default: ${f.otherwise}`
  return `${f.help}${choices}${otherwise}${f.many === true ? '; may be repeated' : ''}`
}

/** A part of a help under its title, after an empty line; nothing where it has nothing. */
const section = (
  title: string,
  cells: readonly (readonly [string, string])[],
  look: Look,
): readonly string[] => (cells.length === 0 ? [] : ['', inked(look, 'bold', title), rows(cells, look)])

const usageOf = (line: string, look: Look): readonly string[] => [
  '',
  inked(look, 'bold', 'Usage'),
  `  ${line}`,
]

/** The help of the whole program. */
export const overview = (commands: readonly Command[], look: Look): string =>
  [
    'Sailwright: vision-language experiments as code.',
    ...usageOf(`${called()} <command> [options]`, look),
    ...section(
      'Commands',
      commands.map((c) => [c.name, c.summary]),
      look,
    ),
    ...section(
      'Options',
      [
        ['--help', 'this text; after a command, its own'],
        ['--version', 'the version'],
      ],
      look,
    ),
    ...section(
      'Begin with',
      [
        [`${called()} doctor`, 'what this machine has, and how fast it is'],
        [`${called()} summary nano`, 'the smallest model, layer by layer'],
        [`${called()} new sft`, 'writes an experiment into this folder'],
        [`${called()} run <file.ts>`, 'runs an experiment and writes its report'],
      ],
      look,
    ),
    '',
  ].join('\n')

/** The help of one command. */
export const commandHelp = (c: Command, look: Look): string => {
  const paragraph = (text: string): readonly string[] => wrap(text, Math.min(look.columns, 100))
  const flags = Object.entries(c.flags).map(
    ([name, f]) => [`--${name}${f.value === undefined ? '' : ` <${f.value}>`}`, flagHelp(f)] as const,
  )
  return [
    ...paragraph(c.summary),
    ...usageOf(usageLine(c), look),
    ...section(
      'Arguments',
      c.positionals.map((p) => [p.required ? `<${p.name}>` : `[${p.name}]`, p.help]),
      look,
    ),
    ...section('Options', [...flags, ['--help', 'this text']], look),
    ...(c.notes ?? []).flatMap((n) => ['', ...paragraph(n)]),
    ...section(
      'Examples',
      c.examples.map(([command, what]) => [asCalled(command), what]),
      look,
    ),
    '',
  ].join('\n')
}
