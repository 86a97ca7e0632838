/** All planted bugs. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { data } from './data.ts'
import { dsl } from './dsl.ts'
import { engine } from './engine.ts'
import { evaluation } from './eval.ts'
import { formats } from './formats.ts'
import { models } from './models.ts'
import type { Mutant } from './mutant.ts'
import { optim } from './optim.ts'
import { outputs } from './outputs.ts'
import { random } from './random.ts'
import { rewards } from './rewards.ts'
import { rl } from './rl.ts'
import { ofRollouts } from './rollouts.ts'
import { run } from './run.ts'
import { tasks } from './tasks.ts'
import { train } from './train.ts'
import { verify } from './verify.ts'

export const all: readonly Mutant[] = [
  random,
  dsl,
  engine,
  formats,
  optim,
  data,
  train,
  models,
  evaluation,
  rl,
  rewards,
  verify,
  outputs,
  ofRollouts,
  run,
  tasks,
].flat()

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** Why a bug cannot be planted; undefined where it can. */
export const faultOf = (m: Mutant): string | undefined => {
  if (!existsSync(at(m.file))) return 'the file is not there'
  const times = readFileSync(at(m.file), 'utf8').split(m.from).length - 1
  if (times !== 1) return `its text occurs ${times} times`
  const absent = m.tests.find((t) => !existsSync(at(`test/${t}.test.ts`)))
  return absent === undefined ? undefined : `there is no test file ${absent}`
}
