/**
 * A reward's own code, which may hold the thread that trains: it is stopped after a time.
 *
 * @since 0.1.0
 */
import { readFileSync } from 'node:fs'
import { Script } from 'node:vm'
import type { Reward } from '../reward.ts'
import { wasHeld } from '../time-limit.ts'

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

/** How often a function is called for one answer where this process, and not the function, took the time. */
const attempts = 3
/** Milliseconds that a call after the first has at least: shorter limits are over before a busy machine has called anything. */
const leastAgain = 100

/** Milliseconds of processor time that this thread has used; of the process, where neither Node nor the system tells. */
const worked = (): number => {
  const { threadCpuUsage } = process as { readonly threadCpuUsage?: typeof process.cpuUsage }
  if (threadCpuUsage === undefined && process.platform === 'linux')
    try {
      return Number.parseInt(readFileSync('/proc/thread-self/schedstat', 'latin1'), 10) / 1e6
    } catch {
      // a kernel that does not count it
    }
  const { user, system } = (threadCpuUsage ?? process.cpuUsage)()
  return (user + system) / 1000
}

/** What the script gives when it calls this. @throws what it throws; the timeout where it was stopped */
const called = (ms: number, f: () => unknown): unknown => {
  // what was stopped inside of another has left its own here
  place[key] = f
  const timeout = Math.min(longest, Math.ceil(ms))
  const began = performance.now()
  try {
    return script.runInThisContext({ timeout, displayErrors: false })
  } catch (e) {
    if (isTimeout(e)) wasHeld(performance.now() - began)
    throw e
  }
}

/** What a function gives within its time, or that it was stopped. */
const attempt = (ms: number, f: () => unknown): unknown => {
  for (let left = attempts; ; left--) {
    const before = worked()
    try {
      return called(left === attempts ? ms : Math.max(ms, leastAgain), f)
    } catch (e) {
      // a process that was stopped (Ctrl-Z, a machine asleep or overloaded) did not work meanwhile: its reward did not either
      if (!isTimeout(e) || left === 1 || worked() - before >= ms / 2) throw e
    }
  }
}

/** How often a function was stopped, one time after the other. @throws Error where that is so often that it is not asked any more */
const stopsOf = (owner: object): number => {
  const times = stopped.get(owner) ?? 0
  if (times >= most)
    throw new Error(
      `it was stopped ${most} times in a row, and is not asked any more in this start of the run`,
    )
  return times
}

/**
 * What a function gives. One that does not come back, as a loop without end, is stopped: what follows an `await` in it is not
 * its own time any more, and cannot be. Where this thread hardly worked meanwhile (the process stood still, or the function only
 * waits), it is called again, three times in all, then for a tenth of a second at least.
 *
 * @param owner whose function it is; stopped 16 times in a row, it is not called any more
 * @throws what the function throws; Error where it was stopped
 */
export const bounded = <A>(owner: object, ms: number, f: () => A): A => {
  const times = stopsOf(owner)
  const before = place[key]
  try {
    const given = attempt(ms, f) as A
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

/** A function that is to be asked, and who waits for what it gives. */
interface Waiting {
  readonly owner: object
  readonly ms: number
  readonly f: () => unknown
  readonly give: (said: { readonly given: unknown }) => void
  readonly fail: (thrown: unknown) => void
}
let waiting: Waiting[] = []
/** Whether the event loop turns before the next one is asked. */
let turns = false

/** Tells the one who waits what a function gave or threw. */
const tell = ({ give, fail }: Waiting, ask: () => unknown): void => {
  try {
    give({ given: ask() })
  } catch (thrown) {
    fail(thrown)
  }
}

/** Asks one of those that wait under the guard of others. */
const unguarded = ({ owner, f }: Waiting): unknown => {
  stopsOf(owner)
  try {
    return f()
  } finally {
    stopped.delete(owner)
  }
}

/**
 * Asks those that wait, in their order, some under one guard, since a guard is a thread: those that follow one another with one
 * limit, until half of it is over. Where it stops one, that one and those after it are asked one by one. After each that is
 * stopped the event loop turns, so that a signal that ends the run is heard.
 */
const askAll = (alone = false): void => {
  turns = false
  const all = waiting
  waiting = []
  const before = place[key]
  const turn = (from: number): void => {
    waiting = [...all.slice(from), ...waiting]
    turns = true
    setImmediate(askAll, true)
  }
  let at = 0
  while (at < all.length) {
    const { owner, ms, f } = all[at]!
    if (alone || all[at + 1]?.ms !== ms) {
      const times = stopped.get(owner) ?? 0
      tell(all[at++]!, () => bounded(owner, ms, f))
      if ((stopped.get(owner) ?? 0) <= times) continue
      turn(at)
      return
    }
    const half = performance.now() + ms / 2
    try {
      called(ms, () => {
        while (all[at]?.ms === ms && performance.now() < half) {
          tell(all[at]!, () => unguarded(all[at]!))
          at++
        }
      })
    } catch (e) {
      if (!isTimeout(e)) throw e
      turn(at)
      return
    } finally {
      place[key] = before
    }
  }
}

/**
 * What a function gives, {@link bounded}, together with others that are asked in the same turn, under one guard. A function that
 * takes less than half of its time is called once, unless the process stands still; one that the guard stopped is called again,
 * alone and with its whole time.
 */
export const boundedTogether = <A>(owner: object, ms: number, f: () => A): Promise<{ readonly given: A }> =>
  new Promise((give, fail) => {
    waiting.push({ owner, ms, f, give: give as Waiting['give'], fail })
    // each time: one that asks others may be stopped right here, and those that come after must not wait for ever
    queueMicrotask(() => turns || askAll())
  })

/** A reward's answer as it promises it; one that keeps no time of its own is stopped where it holds the thread. */
export const asked = async <A>(
  reward: Reward<never>,
  score: () => PromiseLike<A> | A,
  ms: number = holdMs,
): Promise<A> => {
  if (typeof score !== 'function')
    throw new Error(
      'its score gave no function; give () => a judgement there, or make it with reward(name, judge)',
    )
  return keepsTime in reward ? score() : (await boundedTogether(reward, ms, score)).given
}
