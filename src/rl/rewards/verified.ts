/**
 * Rewards whose work is done in a worker thread that can be ended.
 *
 * @since 0.1.0
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { kindOf, onlySettings } from '../../settings/index.ts'
import { present } from '../../settings/internal.ts'
import { RecipeError, textSetting } from '../../train/index.ts'
import type { Abstained, Judged, Judgement, Reward } from '../reward.ts'
import type { Columns } from '../task.ts'
import { type CheckInput, type CheckName, sharedPool, type VerifierPool } from '../verify/index.ts'
import { type Checkable, readiness } from './compound.ts'
import { abstained, asJudgement, failed, inWords } from './judgement.ts'

/** Where a reward's work is done. */
export interface InPool {
  /** Default: one pool that all rewards share. */
  readonly pool?: VerifierPool
}

/** What a reward sends to its worker: plain data, or why it says nothing. */
type Sent = { readonly input: unknown } | { readonly silent: string }

const through = async (
  pool: VerifierPool,
  call: { readonly check: string; readonly module?: string },
  sent: () => Sent,
): Promise<Judgement> => {
  const began = performance.now()
  try {
    const made = sent()
    if ('silent' in made) return abstained(made.silent)
    const outcome = await pool.run({ ...call, input: made.input })
    return outcome._tag === 'Failed'
      ? failed(outcome.why, outcome.elapsedMs)
      : asJudgement(outcome.result, outcome.elapsedMs)
  } catch (thrown) {
    return failed(inWords(thrown), performance.now() - began)
  }
}

/** A reward over one of the package's own checks. */
export const checked = <N extends CheckName, C extends Columns>(spec: {
  readonly name: string
  readonly check: N
  readonly config: Readonly<Record<string, unknown>>
  readonly pool: VerifierPool | undefined
  readonly input: (judged: Judged<C>) => CheckInput<N> | Abstained
}): Reward<C> => ({
  name: spec.name,
  config: { kind: spec.check, name: spec.name, ...spec.config },
  score: (judged) => () =>
    through(spec.pool ?? sharedPool(), { check: spec.check }, () => {
      const input = spec.input(judged)
      return '_tag' in input ? { silent: input.why } : { input }
    }),
})

/** Settings of {@link verified}. */
export interface VerifiedOptions<C extends Columns> extends InPool {
  /** The address of the module, such as `new URL('./my-check.js', import.meta.url)`. */
  readonly module: URL
  /** The function's name among the module's exports; default `default`. */
  readonly check?: string
  /** What the function is given: plain data, which is copied to the worker. Default: the text and the columns. */
  readonly input?: (judged: Judged<C>) => unknown
  /** What else determines it, as plain JSON data, for the run's identity. */
  readonly config?: unknown
}

/**
 * A reward from a function that a module of the user's exports, run in a worker thread with a time limit: for what a
 * completion's text could make hang. The module is JavaScript (or what Node itself can import); its function is given plain
 * data and gives a number or a judgement. A loop without end, memory without end and the end of the thread are `Failed`. A stage
 * loads it in such a thread before work begins, so that a module that cannot be loaded or lacks the function is refused then.
 *
 * @throws RecipeError where the name is empty, or there is no such file
 * @category rewards
 */
export const verified = <C extends Columns = Columns>(
  name: string,
  options: VerifiedOptions<C>,
): Reward<C> => {
  textSetting('verified', 'name', name)
  onlySettings(name, options, ['module', 'check', 'input', 'config', 'pool'])
  if (!(options.module instanceof URL))
    throw new RecipeError(
      name,
      'module',
      `it is ${kindOf(options.module)}; give an address, such as new URL('./my-check.js', import.meta.url)`,
    )
  // a thread would say so of every completion
  if (options.module.protocol === 'file:' && !existsSync(options.module))
    throw new RecipeError(name, 'module', `there is no file ${fileURLToPath(options.module)}`)
  const check = options.check ?? 'default'
  const input =
    options.input ?? (({ task, completion }: Judged<C>) => ({ text: completion.text, columns: task.columns }))
  const call = { check, module: options.module.href }
  const own: Reward<C> & Checkable = {
    name,
    config: {
      kind: 'verified',
      name,
      check,
      ...present({ of: options.config }),
    },
    score: (judged) => () =>
      through(options.pool ?? sharedPool(), call, () => ({
        input: input(judged),
      })),
    // in a thread, as the judging is: what stands in the module is not trusted either
    [readiness]: async () => {
      const found = await (options.pool ?? sharedPool()).run(call)
      return found._tag === 'Failed' ? `reward '${name}' cannot judge: ${found.why}` : undefined
    },
  }
  return own
}
