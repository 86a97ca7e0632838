/**
 * A reward from a function of the user's.
 *
 * @since 0.1.0
 */
import { kindOf, onlySettings } from '../../settings/index.ts'
import { present } from '../../settings/internal.ts'
import { numberSetting, RecipeError, textSetting } from '../../train/index.ts'
import type { Judged, Judgement, Reward } from '../reward.ts'
import type { Columns } from '../task.ts'
import { inTime } from '../time-limit.ts'
import { boundedTogether, holdMs, keepsTime } from './bounded.ts'
import { asJudgement, failed, inWords } from './judgement.ts'

/** What a user's function may give: a number, or a judgement with its evidence. */
export type Verdict = number | Judgement

/** Settings of {@link reward}. */
export interface OwnRewardOptions {
  /** What else determines it, as plain JSON data, for the run's identity. */
  readonly config?: unknown
  /**
   * Milliseconds after which an answer is `Failed`; default 60,000 for one that was promised, and 10,000 for which the function
   * may hold the thread.
   */
  readonly timeoutMs?: number
}

/**
 * A reward from a function. The columns that it reads are in its type: where tasks lack one, the program does not compile.
 * What it throws, a number that is not finite, a value of another type and a promise that is not kept in time are `Failed`.
 * It runs in the thread that trains, where a loop without end is stopped after ten seconds, but not one that follows an
 * `await`: text that may be hostile is for {@link verified}. Where this thread hardly worked meanwhile, since the process stood
 * still or the function only waits, the function is called again, three times in all. Answers that are asked for in one turn
 * share a guard: one that takes longer than half of its time may be called once more, alone. A function that was stopped 16 times
 * in a row is not asked again.
 *
 * @example
 * const short = reward('short', ({ completion }) => (completion.ids.length <= 32 ? 1 : 0))
 * const named = reward<{ readonly city: string }>('named', ({ task, completion }) =>
 *   completion.text.includes(task.columns.city) ? 1 : 0)
 * short.name // 'short'
 * named.name // 'named'
 *
 * @throws RecipeError where the name is empty or the time is none
 * @category rewards
 */
export const reward = <C extends Columns = Columns>(
  name: string,
  judge: (judged: Judged<C>) => Verdict | Promise<Verdict>,
  options: OwnRewardOptions = {},
  // what stands around it says nothing of the columns: inside of weighted({ … }) it reads what its type says
): Reward<NoInfer<C>> => {
  textSetting('reward', 'name', name)
  if (typeof judge !== 'function')
    throw new RecipeError(name, 'judge', `it is ${kindOf(judge)}; give a function of { task, completion }`)
  onlySettings(name, options, ['config', 'timeoutMs'])
  const held = options.timeoutMs ?? holdMs
  const timeoutMs = numberSetting(name, 'timeoutMs', options.timeoutMs ?? 60_000, true)
  const own: Reward<NoInfer<C>> & { readonly [keepsTime]: true } = {
    name,
    config: { kind: 'own', name, timeoutMs, ...present({ of: options.config }) },
    [keepsTime]: true,
    score: (judged) => async () => {
      let began = performance.now()
      try {
        const { given }: { readonly given: unknown } = await boundedTogether(judge, held, () => {
          // others of the same turn were asked before
          began = performance.now()
          return judge(judged)
        })
        if (!(given instanceof Promise)) return asJudgement(given, performance.now() - began)
        const late = () => failed(`it gave no answer in ${timeoutMs} ms`, performance.now() - began)
        return asJudgement(await inTime(timeoutMs, () => given, late), performance.now() - began)
      } catch (thrown) {
        return failed(inWords(thrown), performance.now() - began)
      }
    },
  }
  return own
}
