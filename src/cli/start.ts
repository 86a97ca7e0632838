/**
 * The process: its words, streams and interrupts handed to {@link main}, whose answer becomes the exit code.
 */
import type { Io } from './command.ts'
import { main } from './main.ts'

/** A reader that went away (`| head`) ends the program quietly. */
const quietlyWithout = (stream: NodeJS.WriteStream): void => {
  stream.on('error', (e: NodeJS.ErrnoException) => {
    if (e.code === 'EPIPE') process.exit(0)
    throw e
  })
}

const io: Io = {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  onInterrupt: (act) => {
    const first = (): void => {
      // a second one does not wait
      process.once('SIGINT', () => process.exit(130))
      act()
    }
    process.once('SIGINT', first)
    process.once('SIGTERM', first)
    return () => {
      process.removeListener('SIGINT', first)
      process.removeListener('SIGTERM', first)
    }
  },
}

quietlyWithout(process.stdout)
quietlyWithout(process.stderr)
const code = await main(process.argv.slice(2), io)
// worker threads and native libraries may keep the process alive: what was written goes out, then it ends
process.stdout.write('', () => process.exit(code))
