/** Loading TensorFlow: once in a process, with the threads and the environment that were asked for, and without a word. */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { presentEngines } from '../support/engines.ts'
import { loader, moduleAt } from '../support/program.ts'

const test = suite('tensorflow: loading')
const isHere = (await presentEngines()).some((e) => e.name === 'tensorflow')

/** What a process of its own says of loading TensorFlow with these options, in this order; and what it wrote beside. */
const loadedWith = (options: readonly object[], env: Readonly<Record<string, string>> = {}) => {
  const script = `
    const { loadTensorflow } = await import(${JSON.stringify(moduleAt('src/engine/tensorflow/index.ts'))})
    const { log, info, warn } = console
    const found = ${JSON.stringify(options)}.map((o) => loadTensorflow(o))
    const one = (e) => e._tag === 'Left' ? e.left.message : e.right.threads
    const { TF_NUM_INTRAOP_THREADS: intra, TF_NUM_INTEROP_THREADS: inter, TF_CPP_MIN_LOG_LEVEL: level } = process.env
    process.stdout.write(JSON.stringify({
      found: found.map(one),
      same: found.filter((e) => e._tag === 'Right' && e.right === found[0].right).length,
      console: console.log === log && console.info === info && console.warn === warn,
      env: { intra, inter, level },
    }))`
  // what the tests' own processes were told is not said of this one
  const {
    TF_NUM_INTRAOP_THREADS: _,
    TF_NUM_INTEROP_THREADS: __,
    TF_CPP_MIN_LOG_LEVEL: ___,
    ...own
  } = process.env
  const { stdout, stderr } = spawnSync(process.execPath, [...loader, '--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    encoding: 'utf8',
    env: { ...own, ...env },
  })
  return {
    told: JSON.parse(stdout.slice(stdout.indexOf('{'))),
    wrote: stdout.slice(0, stdout.indexOf('{')),
    stderr,
  }
}

if (isHere) {
  test('by itself with a thread a core, once, and nothing is said or silenced', () => {
    const cores = availableParallelism()
    const { told, wrote, stderr } = loadedWith([{}, {}, { threads: cores }, { threads: cores + 1 }])
    assert.equal(told.found.slice(0, 3), [cores, cores, cores])
    assert.match(
      told.found[3],
      `TensorFlow was loaded with ${cores} threads, which holds for the whole process`,
    )
    assert.is(told.same, 3)
    assert.equal(told.env, { intra: `${cores}`, inter: `${cores}`, level: '3' })
    assert.ok(told.console)
    assert.equal([wrote, stderr], ['', ''])
  })

  test('with the threads that are asked for, before those of the environment', () => {
    const env = { TF_NUM_INTRAOP_THREADS: '3', TF_NUM_INTEROP_THREADS: '4', TF_CPP_MIN_LOG_LEVEL: '2' }
    assert.equal(loadedWith([{ threads: 2 }], env).told, {
      ...{ found: [2], same: 1, console: true },
      env: { intra: '2', inter: '2', level: '2' },
    })
    assert.equal(loadedWith([{}], env).told, {
      ...{ found: [3], same: 1, console: true },
      env: { intra: '3', inter: '4', level: '2' },
    })
  })
}

test.run()
