/**
 * The command `sailwright`: finds the command, checks its words, runs it, gives the exit code.
 *
 * @since 0.1.0
 */
import * as E from 'fp-ts/lib/Either.js'
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
import { version } from './version.ts'

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

/**
 * Runs the program on the words after its name and gives the exit code: 0 done, 1 what was asked for failed, 2 the command
 * line is wrong, 130 interrupted (by whatever signal: the process tells them apart).
 */
export const main = async (words: readonly string[], io: Io): Promise<number> => {
  const out = lookOf(io.stdout, io.env)
  const err = lookOf(io.stderr, io.env)
  const complain = (message: string, mark = ''): void => {
    io.stderr.write(`${inked(err, 'red', `sailwright${mark}`)} ${message}\n`)
  }
  const own = words.slice(0, words.includes('--') ? words.indexOf('--') : words.length)
  const wantsHelp = own.includes('--help') || own.includes('-h') || own[0] === 'help'
  const rest = words.filter((w) => w !== '--help' && w !== '-h')
  const asked = rest[0] === 'help' ? rest.slice(1) : rest
  const found = find(asked)
  if (found !== undefined && wantsHelp) {
    io.stdout.write(commandHelp(found.command, out))
    return 0
  }
  if (found === undefined) {
    if (own.includes('--version') || own.includes('-V')) {
      io.stdout.write(`${version()}\n`)
      return 0
    }
    const word = asked[0]
    if (word === undefined) {
      const where = wantsHelp ? io.stdout : io.stderr
      where.write(overview(commands, wantsHelp ? out : err))
      return wantsHelp ? 0 : 2
    }
    const possible = commands.map((c) => c.name)
    const begun = possible.filter((p) => p.startsWith(`${word} `))
    complain(
      begun.length > 0
        ? `${word}: what of it? There is ${begun.map((b) => `'${called()} ${b}'`).join(', ')}.`
        : word.startsWith('-')
          ? `there is no option ${word} before a command; there are --help and --version. The commands are ${possible.join(', ')}.`
          : `there is no command '${word}'.${didYouMean(word, possible)} The commands are ${possible.join(', ')}; '${called()} --help' says what they do.`,
      begun.length > 0 ? '' : ':',
    )
    return 2
  }
  const args = parse(found.command, found.rest)
  if (E.isLeft(args)) {
    complain(args.left.message)
    io.stderr.write(`'${called()} ${found.command.name} --help' says more.\n`)
    return exitCodeOf(args.left)
  }
  try {
    const result = await found.command.run(args.right, io)()
    if (E.isRight(result)) return 0
    complain(`${found.command.name}: ${result.left.message}`)
    return exitCodeOf(result.left)
  } catch (e) {
    // a defect of this program: the stack is what helps to mend it
    complain(`${found.command.name}: ${e instanceof Error ? (e.stack ?? e.message) : messageOf(e)}`)
    return 1
  }
}
