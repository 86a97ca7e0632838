/** Reinforcement of a model that sees: the completions of a task share its image, which is kept once. */
import * as TE from 'fp-ts/lib/TaskEither.js'
import { lastValueFrom, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { RunEvent } from '../../src/run/index.ts'
import { hostEngines } from '../support/engines.ts'
import { seeing } from '../support/seeing.ts'
import { contextIn, tinyModel } from '../support/tiny.ts'

const [engine] = await hostEngines()

const test = suite('reinforcement: a model that sees')

test('an episode of images: rollouts, updates of all parts, images kept once a task', async () => {
  const run = seeing(tinyModel, 2)
  const saved: string[] = []
  const { mkdtemp, rm } = await import('node:fs/promises')
  const { tmpdir } = await import('node:os')
  const folder = await mkdtemp(`${tmpdir()}/sailwright-see-`)
  try {
    const context = {
      ...contextIn(folder, engine!),
      saveImage: (name: string) => {
        saved.push(name)
        return TE.right(`images/${name}.png`)
      },
    }
    const events: readonly RunEvent[] = await lastValueFrom(run.run(context).pipe(toArray()))
    const groups = events.filter((e) => e.type === 'group')
    assert.ok(groups.length >= 8)
    // a task that is asked again is another task, with the same image
    assert.is(new Set(groups.map((g) => g.task)).size, groups.length)
    for (const g of groups) assert.equal(g.images, [`images/see/${g.task.split('@')[0]}/0.png`])
    assert.equal(saved, ['see/seen/0/0', 'see/seen/1/0', 'see/seen/2/0'])
    const steps = events.filter((e) => e.type === 'step')
    assert.is(steps.length, 4)
    for (const s of steps) assert.ok(s.gradientNorm > 0)
    const episode = events.find((e) => e.type === 'episode')
    assert.equal(Object.keys(episode!.families), ['f0', 'f1'])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test.run()
