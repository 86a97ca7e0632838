/** A PJRT plugin for this machine's CPU, built once against TensorFlow's wheel; its tests are skipped where it cannot be. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { engineHome } from '../../src/engine/tensorflow/home.ts'
import { findLibrary } from '../../src/engine/tensorflow/library.ts'
import { xlaHome } from '../../src/engine/xla/home.ts'

const source = join(dirname(fileURLToPath(import.meta.url)), '..', 'engine', 'xla', 'plugin')

const built = async (): Promise<string | undefined> => {
  const named = process.env.SAILWRIGHT_TEST_PLUGIN
  if (named !== undefined) return named
  const library = await findLibrary(engineHome().library)
  const main = library?.files.find((f) => f.endsWith('libtensorflow_cc.so.2'))
  if (main === undefined) {
    console.log(
      'xla: skipped, since the TensorFlow wheel that its CPU plugin is built against is not installed',
    )
    return undefined
  }
  const text = ['cpu_plugin.cc', 'build.sh'].map((f) => readFileSync(join(source, f), 'utf8')).join('\0')
  const id = createHash('sha256').update(text).update(main).digest('hex').slice(0, 16)
  const plugin = join(xlaHome().root, 'test-plugin', id, 'cpu_plugin.so')
  if (existsSync(plugin)) return plugin
  const ended = spawnSync('bash', [join(source, 'build.sh'), dirname(main), plugin], { encoding: 'utf8' })
  if (ended.status === 0) return plugin
  console.log(`xla: skipped, since its CPU plugin does not build here: ${ended.stderr.split('\n').at(0)}`)
  return undefined
}

let once: Promise<string | undefined> | undefined

/** The plugin's file; undefined where it cannot be built, which is said once. */
export const cpuPlugin = (): Promise<string | undefined> => {
  once ??= built()
  return once
}
