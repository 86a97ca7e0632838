/**
 * An experiment for tests of the command: its events are invented, nothing is trained. `--set` says how it goes: `pace`
 * (milliseconds a step), `fail` (the step of the second stage that throws), `hold` (the step of the second stage that never
 * ends).
 */
import { concatMap, defer, delay, from, ignoreElements, interval, type Observable, of } from 'rxjs'
import type { RunEvent } from '../../../src/run/events.ts'
import { nanoModel } from '../../../src/tasks/nano.ts'
import type { ExperimentFile, RunContext } from '../../../src/train/experiment.ts'

const steps = 12
const stages = ['first', 'second']

const eventsOf = (context: RunContext, failAt: number): readonly (() => RunEvent)[] => {
  const done = context.earlier.flatMap((e) => (e.type === 'stage-finished' ? [e.stage] : []))
  return stages.flatMap((stage, index): (() => RunEvent)[] =>
    done.includes(stage)
      ? []
      : [
          () => ({
            type: 'stage-started',
            stage,
            index,
            of: 2,
            steps,
            batch: 4,
            trainable: 10,
            parts: ['adapter'],
          }),
          ...Array.from({ length: steps }, (_, i) => (): RunEvent => {
            if (index === 1 && i + 1 === failAt) throw new Error('this step was told to fail')
            return {
              ...{
                type: 'step',
                stage,
                step: i + 1,
                steps,
                loss: 2 - i / 10,
                learningRate: 1e-3,
                gradientNorm: 1,
              },
              ...{
                samples: (i + 1) * 4,
                tokens: 40,
                seconds: (i + 1) / 10,
                dataSeconds: 0.02,
                computeSeconds: 0.07,
              },
            }
          }),
          () => ({ type: 'evaluated', stage, family: 'read', correct: 3 + index, total: 5, seconds: 0.1 }),
          () => ({
            ...{ type: 'stage-finished', stage, index, loss: 1, samples: steps * 4 },
            ...{ trainSeconds: 1.2, evaluateSeconds: 0.1 },
          }),
        ],
  )
}

const file: ExperimentFile = ({ quick, seed, setting }) => {
  const pace = setting.number('pace', 0, { from: 0 })
  const fail = setting.integer('fail', 0)
  const hold = setting.integer('hold', 0)
  return {
    name: 'tiny',
    seed,
    model: nanoModel,
    families: ['read'],
    recipe: { quick, stages: stages.map((name) => ({ name, steps })) },
    run: (context): Observable<RunEvent> =>
      defer(() =>
        from([...eventsOf(context, fail), (): RunEvent => ({ type: 'run-finished', seconds: 3 })]).pipe(
          concatMap((make) => of(make).pipe(delay(pace))),
          concatMap((make) => {
            const event = make()
            const held = event.type === 'step' && event.stage === stages[1] && event.step === hold
            // a timer keeps the process alive
            return held ? interval(1000).pipe(ignoreElements()) : of(event)
          }),
        ),
      ),
  }
}

export default file
