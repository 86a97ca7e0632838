/** Runs of the echo task: in a folder, with rollouts recorded, to the end or up to an event. */
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { firstValueFrom, takeWhile, tap, toArray } from 'rxjs'
import type { Engine } from '../../src/engine/index.ts'
import { openRollouts, type RunEvent, writeRolloutsTable } from '../../src/run/index.ts'
import { begin, experiment, fromScratch, next, type RunContext, unmeasured } from '../../src/train/index.ts'
import { type EchoSettings, echoModel, echoStage } from './echo.ts'
import { contextIn } from './tiny.ts'

/** The task as an experiment. */
export const echo = (some: EchoSettings, seed = 1, checkpointEvery = 0) =>
  experiment(
    pipe(
      begin({ name: 'echo', seed, model: echoModel, start: fromScratch, now: 'fresh' }),
      next(echoStage(some)),
    ),
    unmeasured,
    { checkpointEvery },
  )

/** What a run in a folder works with: groups are written there, and those of earlier starts read. */
const recording = (at: string, engine: Engine, earlier: readonly RunEvent[] = []) => {
  const rollouts = openRollouts(at)
  const context: RunContext = {
    ...contextIn(at, engine, earlier),
    rollouts: (stage, episode) =>
      TE.mapLeft((e: { message: string }) => new Error(e.message))(rollouts.of(stage, episode)),
    setRolloutsAside: (stage, episode) =>
      TE.mapLeft((e: { message: string }) => new Error(e.message))(rollouts.setAside(stage, episode)),
    tableRollouts: (stage) =>
      TE.mapLeft((e: { message: string }) => new Error(e.message))(writeRolloutsTable(at, stage)),
  }
  const record = tap((e: RunEvent) => {
    if (e.type === 'group') orThrowSync(rollouts.record(e)())
  })
  return { context, record, close: () => orThrowSync(rollouts.close()) }
}
const orThrowSync = <A>(e: E.Either<{ readonly message: string }, A>): A => {
  if (E.isLeft(e)) throw new Error(e.left.message)
  return e.right
}

/** Runs to the end, or up to and with an event; `seen` gets each, where it ends by an error those before it. */
export const ran = async (
  run: ReturnType<typeof echo>,
  at: string,
  engine: Engine,
  earlier: readonly RunEvent[] = [],
  until: (e: RunEvent, n: number) => boolean = () => false,
  seen: (e: RunEvent) => void = () => {},
): Promise<readonly RunEvent[]> => {
  const { context, record, close } = recording(at, engine, earlier)
  try {
    const all = run.run(context).pipe(
      record,
      tap(seen),
      takeWhile((e, n) => !until(e, n), true),
      toArray(),
    )
    return await firstValueFrom(all)
  } finally {
    close()
  }
}
