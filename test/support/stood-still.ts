/** A process that is stopped while it waits for rewards: says what it waits for, and what came of it. */
import { existsSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { reward } from '../../src/rl/index.ts'
import { timeLimit } from '../../src/rl/time-limit.ts'
import { judge } from './judged.ts'

const [flag] = process.argv.slice(2)
// a stream that is stopped in the middle of a write takes no other
const tell = (what: string): void => void writeSync(1, `${what}\n`)
const limit = { timeoutMs: 1000 }

let calls = 0
const holds = reward(
  'holds',
  () => {
    if (++calls === 1) tell('holding')
    while (!existsSync(flag!));
    return 1
  },
  limit,
)
tell(JSON.stringify(await judge(holds, '', {})))

const lines = createInterface(process.stdin)
const asks = reward(
  'asks',
  () => {
    // where the function has returned
    setImmediate(() => tell('asking'))
    return new Promise<number>((resolve) => lines.once('line', (line) => resolve(Number(line))))
  },
  limit,
)
tell(JSON.stringify(await judge(asks, '', {})))
lines.close()

const began = performance.now()
timeLimit(50, () => tell(JSON.stringify({ waited: performance.now() - began >= 50 })))
