/**
 * What `--help` prints: of everything, and of one command.
 *
 * @since 0.1.0
 */
import { asCalled, called, fit, inked, type Look } from '../terminal/index.ts'
import type { Command, Flag } from './command.ts'
import { usageLine } from './parse.ts'

/** Cells that are longer have what they mean on the next line. */
const widest = 64

const rows = (cells: readonly (readonly [string, string])[], look: Look): string => {
  const room = Math.max(0, ...cells.map(([a]) => a.length).filter((n) => n <= widest))
  return cells
    .map(([a, b]) => {
      const [first, ...more] = wrap(b, Math.max(30, Math.min(look.columns, 100) - room - 4))
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

const head = (text: string, look: Look): string => inked(look, 'bold', text)

/** The help of the whole program. */
export const overview = (commands: readonly Command[], look: Look): string =>
  [
    'Sailwright: vision-language experiments as code.',
    '',
    head('Usage', look),
    `  ${called()} <command> [options]`,
    '',
    head('Commands', look),
    rows(
      commands.map((c) => [c.name, c.summary]),
      look,
    ),
    '',
    head('Options', look),
    rows(
      [
        ['--help', 'this text; after a command, its own'],
        ['--version', 'the version'],
      ],
      look,
    ),
    '',
    head('Begin with', look),
    rows(
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
export const commandHelp = (c: Command, look: Look): string =>
  [
    ...wrap(c.summary, Math.min(look.columns, 100)),
    '',
    head('Usage', look),
    `  ${usageLine(c)}`,
    ...(c.positionals.length === 0
      ? []
      : [
          '',
          head('Arguments', look),
          rows(
            c.positionals.map((p) => [p.required ? `<${p.name}>` : `[${p.name}]`, p.help]),
            look,
          ),
        ]),
    '',
    head('Options', look),
    rows(
      [
        ...Object.entries(c.flags).map(
          ([name, f]) => [`--${name}${f.value === undefined ? '' : ` <${f.value}>`}`, flagHelp(f)] as const,
        ),
        ['--help', 'this text'],
      ],
      look,
    ),
    ...(c.notes ?? []).flatMap((n) => ['', ...wrap(n, Math.min(look.columns, 100))]),
    ...(c.examples.length === 0
      ? []
      : [
          '',
          head('Examples', look),
          rows(
            c.examples.map(([command, what]) => [asCalled(command), what]),
            look,
          ),
        ]),
    '',
  ].join('\n')
