/**
 * The command `sailwright`: finds the command, checks its words, runs it, gives the exit code.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
import { version } from '../package/index.ts'
import { called, didYouMean, inked, lookOf } from '../terminal/index.ts'
import { type Command, exitCodeOf, type Io, messageOf } from './command.ts'
import { benchCommand } from './commands/bench.ts'
import { chatCommand } from './commands/chat.ts'
import { doctorCommand } from './commands/doctor.ts'
import { engineInstallCommand } from './commands/engine-install.ts'
import { exportCommand } from './commands/export.ts'
import { fetchCommand } from './commands/fetch.ts'
import { newCommand } from './commands/new.ts'
import { reportCommand } from './commands/report.ts'
import { rolloutsCommand } from './commands/rollouts.ts'
import { runCommand } from './commands/run.ts'
import { serveCommand } from './commands/serve.ts'
import { summaryCommand } from './commands/summary.ts'
import { commandHelp, overview } from './help.ts'
import { parse } from './parse.ts'

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  newCommand,
  runCommand,
  fetchCommand,
  summaryCommand,
  doctorCommand,
  engineInstallCommand,
  reportCommand,
  rolloutsCommand,
  exportCommand,
  chatCommand,
  serveCommand,
  benchCommand,
]

/** The command that the words begin with, and the words after it. */
const find = (
  words: readonly string[],
): { readonly command: Command; readonly rest: readonly string[] } | undefined => {
  for (const command of commands) {
    const name = command.name.split(' ')
    if (name.every((part, i) => words[i] === part)) return { command, rest: words.slice(name.length) }
  }
  return undefined
}

/** Says what is wrong, after the program's name. */
const complain = (io: Io, message: string, mark = ''): void => {
  io.stderr.write(`${inked(lookOf(io.stderr, io.env), 'red', `sailwright${mark}`)} ${message}\n`)
}

/** What is done where the words begin with no command. */
const withoutCommand = (word: string | undefined, wantsHelp: boolean, io: Io): number => {
  if (word === undefined) {
    const where = wantsHelp ? io.stdout : io.stderr
    where.write(overview(commands, lookOf(where, io.env)))
    return wantsHelp ? 0 : 2
  }
  const possible = commands.map((c) => c.name)
  const begun = possible.filter((p) => p.startsWith(`${word} `)).map((b) => `'${called()} ${b}'`)
  if (begun.length > 0) complain(io, `${word}: what of it? There is ${begun.join(', ')}.`)
  else
    complain(
      io,
      word.startsWith('-')
        ? `there is no option ${word} before a command; there are --help and --version. The commands are ${possible.join(', ')}.`
        : `there is no command '${word}'.${didYouMean(word, possible)} The commands are ${possible.join(', ')}; '${called()} --help' says what they do.`,
      ':',
    )
  return 2
}

/** Runs a command on the words after its name. */
const ran = async (command: Command, words: readonly string[], io: Io): Promise<number> => {
  const args = parse(command, words)
  if (E.isLeft(args)) {
    complain(io, args.left.message)
    io.stderr.write(`'${called()} ${command.name} --help' says more.\n`)
    return exitCodeOf(args.left)
  }
  try {
    const result = await command.run(args.right, io)()
    if (E.isRight(result)) return 0
    complain(io, `${command.name}: ${result.left.message}`)
    return exitCodeOf(result.left)
  } catch (e) {
    // what the system refuses has words; of a defect of this program the stack is what helps to mend it
    const said = messageOf(e)
    const defect = e instanceof Error && said === e.message ? e.stack : undefined
    complain(io, `${command.name}: ${defect ?? said}`)
    return 1
  }
}

/**
 * Runs the program on the words after its name and gives the exit code: 0 done, 1 what was asked for failed, 2 the command
 * line is wrong, 130 interrupted (by whatever signal: the process tells them apart).
 */
export const main = async (words: readonly string[], io: Io): Promise<number> => {
  const own = words.slice(0, words.includes('--') ? words.indexOf('--') : words.length)
  const wantsHelp = own.includes('--help') || own.includes('-h') || own[0] === 'help'
  const rest = words.filter((w) => w !== '--help' && w !== '-h')
  const asked = rest[0] === 'help' ? rest.slice(1) : rest
  const found = find(asked)
  if (found !== undefined && !wantsHelp) return ran(found.command, found.rest, io)
  const text =
    found !== undefined
      ? commandHelp(found.command, lookOf(io.stdout, io.env))
      : own.includes('--version') || own.includes('-V')
        ? `${version()}\n`
        : undefined
  if (text === undefined) return withoutCommand(asked[0], wantsHelp, io)
  io.stdout.write(text)
  return 0
}
