/**
 * A reward's own code, which may hold the thread that trains: it is stopped after a time.
 *
 * @since 0.3.0
 */
import { Script } from 'node:vm'
import type { Reward } from '../reward.ts'

/** Milliseconds for which a reward may hold the thread, where it says nothing else. */
export const holdMs = 10_000
/** A reward that was stopped so often, one time after the other, is not asked any more. */
const most = 16

/** A reward that keeps its own time, or has others do its work. */
export const keepsTime: unique symbol = Symbol('sailwright.reward.time')

const key = Symbol.for('sailwright.bounded')
const place = globalThis as { [key]?: () => unknown }
// a script that calls what stands there: V8 ends a script, and what it calls, from another thread
const script = new Script("globalThis[Symbol.for('sailwright.bounded')]()")
/** Milliseconds that V8 can count. */
const longest = 2 ** 31 - 1
const stopped = new WeakMap<object, number>()

const isTimeout = (e: unknown): boolean =>
  e instanceof Error && (e as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'

/**
 * What a function gives. One that does not come back, as a loop without end, is stopped: what follows an `await` in it is not
 * its own time any more, and cannot be.
 *
 * @param owner whose function it is; stopped 16 times in a row, it is not called any more
 * @throws what the function throws; Error where it was stopped
 */
export const bounded = <A>(owner: object, ms: number, f: () => A): A => {
  const times = stopped.get(owner) ?? 0
  if (times >= most)
    throw new Error(
      `it was stopped ${most} times in a row, and is not asked any more in this start of the run`,
    )
  const before = place[key]
  place[key] = f
  try {
    const given = script.runInThisContext({
      timeout: Math.min(longest, Math.ceil(ms)),
      displayErrors: false,
    }) as A
    stopped.delete(owner)
    return given
  } catch (e) {
    if (!isTimeout(e)) {
      stopped.delete(owner)
      throw e
    }
    stopped.set(owner, times + 1)
    throw new Error(
      `it held the thread for ${ms / 1000} s and was stopped; where texts may do that, judge them with verified(…), whose threads can be ended`,
    )
  } finally {
    place[key] = before
  }
}

/** A reward's answer as it promises it; one that keeps no time of its own is stopped where it holds the thread. */
export const asked = <A>(reward: Reward<never>, score: () => A, ms: number = holdMs): A =>
  keepsTime in reward ? score() : bounded(reward, ms, score)
