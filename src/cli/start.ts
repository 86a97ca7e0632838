/**
 * The process: its words, streams and signals handed to {@link main}, whose answer becomes the exit code.
 */
import type { Io } from './command.ts'
import { linesOf } from './lines.ts'
import { main } from './main.ts'
import { outlet } from './outlet.ts'

/** The signals that interrupt, and what the process ends with then: 128 and the signal's number, as shells have it. */
const interrupts = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
type Interrupt = keyof typeof interrupts
const signals = Object.keys(interrupts) as readonly Interrupt[]

/** The signal that a command was told of and is ending for. */
let interruptedBy: Interrupt | undefined

/** Ends the process by a signal: exiting would wait for threads that compute. */
const endOf = (signal: Interrupt): void => {
  process.once('exit', () => {
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
  process.exit(interrupts[signal])
}

const stdout = outlet(process.stdout, process.env)
const stderr = outlet(process.stderr, process.env)

const io: Io = {
  stdout: stdout.sink,
  stderr: stderr.sink,
  env: process.env,
  cwd: process.cwd(),
  lines: () => linesOf(process.stdin, process.stdout),
  onInterrupt: (act) => {
    const told = (signal: Interrupt): void => {
      // a second one does not wait
      if (interruptedBy !== undefined) endOf(signal)
      interruptedBy = signal
      act()
    }
    for (const s of signals) process.on(s, told)
    return () => {
      // while a command is ending for one, the second must still be heard
      if (interruptedBy === undefined) for (const s of signals) process.removeListener(s, told)
    }
  },
}

const code = await main(process.argv.slice(2), io)
await stdout.flushed()
const lost = stdout.problem()
if (lost !== undefined)
  stderr.sink.write(`sailwright: what should have been printed could not be: ${lost.message}\n`)
// worker threads and native libraries may keep the process alive: what was written went out, so it ends
process.exit(
  code === 130 && interruptedBy !== undefined
    ? interrupts[interruptedBy]
    : lost !== undefined && code === 0
      ? 1
      : code,
)
