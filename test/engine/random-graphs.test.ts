/**
 * Random graphs and their gradients on each engine. The seeds are fixed; SAILWRIGHT_GRAPHS=2000 runs as many graphs
 * and half as many loops, and SAILWRIGHT_GRAPHS_FROM=5000 begins at another seed.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { presentEngines } from '../support/engines.ts'
import { graphCases, loopCase, mistakes } from '../support/graph-cases.ts'

const count = Number(process.env.SAILWRIGHT_GRAPHS ?? 14)
const from = Number(process.env.SAILWRIGHT_GRAPHS_FROM ?? 0)
/** Graphs in one program. */
const together = 30

const randomGraphs = suite('engines: random graphs against the reference evaluator')

const all = async (which: 0 | 1): Promise<void> => {
  const engines = await presentEngines()
  const wrong: string[] = []
  for (let seed = from; seed < from + count; seed += together) {
    const n = Math.min(together, from + count - seed)
    const cases = Array.from({ length: n }, (_, i) => graphCases(seed + i)[which])
    for (const engine of engines) wrong.push(...(await mistakes(engine, cases)))
  }
  assert.equal(wrong, [])
}

randomGraphs('outputs and next states', () => all(0))
randomGraphs('gradients', () => all(1))

randomGraphs('loops whose bodies they are', async () => {
  const cases = Array.from({ length: Math.ceil(count / 2) }, (_, i) => loopCase(from + i))
  for (const engine of await presentEngines()) assert.equal(await mistakes(engine, cases), [])
})

randomGraphs.run()
