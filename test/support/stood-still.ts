/** A process that is stopped while it waits for rewards: says what came of each. */
import { spawnSync } from 'node:child_process'
import { reward } from '../../src/rl/index.ts'
import { timeLimit } from '../../src/rl/time-limit.ts'
import { judge } from './judged.ts'

/** Stops this process for 1.7 s; it does nothing else from the call on. */
const standStill = (): void => {
  const { pid } = process
  spawnSync('sh', ['-c', `kill -STOP ${pid}; sleep 1.7; kill -CONT ${pid}`])
}
const limit = { timeoutMs: 1000 }
const tell = (what: unknown): void => console.log(JSON.stringify(what))

let calls = 0
const holds = reward(
  'holds',
  () => {
    if (++calls === 1) standStill()
    return 1
  },
  limit,
)
tell(await judge(holds, '', {}))

const asks = reward(
  'asks',
  () =>
    new Promise<number>((resolve) => {
      // where the function has returned; what it waits for comes after its timer
      setImmediate(() => {
        standStill()
        setImmediate(() => setImmediate(() => resolve(0.5)))
      })
    }),
  limit,
)
tell(await judge(asks, '', {}))

const began = performance.now()
// a timer may be a millisecond early
timeLimit(50, () => tell({ waited: performance.now() - began >= 48 }))
