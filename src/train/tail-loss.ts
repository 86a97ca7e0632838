/** What a stage's loss is said to be: the mean over its last tenth of steps, as it adds up. */
import type { StageProgress } from '../run/index.ts'

/** So many last steps of a stage make its loss. */
export const tailSteps = (steps: number): number => Math.max(1, Math.round(steps / 10))

/** The loss of a stage that goes on. */
interface TailLoss {
  /** Takes a step's loss; one that is no finite number has no part in the mean. */
  readonly add: (step: number, loss: number) => void
  readonly mean: () => number
  /** What a checkpoint keeps of it. */
  readonly progress: () => Pick<StageProgress, 'tailLoss' | 'tailSkipped'>
}

/** The loss of a stage of so many steps, from where an earlier start has left it. */
export const tailLoss = (steps: number, from: Pick<StageProgress, 'tailLoss' | 'tailSkipped'>): TailLoss => {
  const tail = tailSteps(steps)
  let { tailLoss: sum, tailSkipped: skipped = 0 } = from
  return {
    add: (step, loss) => {
      if (step <= steps - tail) return
      if (Number.isFinite(loss)) sum += loss
      else skipped++
    },
    mean: () => sum / (tail - skipped),
    progress: () => ({ tailLoss: sum, ...(skipped === 0 ? {} : { tailSkipped: skipped }) }),
  }
}
