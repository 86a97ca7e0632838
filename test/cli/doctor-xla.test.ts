/** What the doctor says of the xla engine: its plugin and devices, or the file that is missing. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { EngineFound } from '../../src/cli/advice.ts'
import { cpuPlugin } from '../support/cpu-plugin.ts'
import { command } from '../support/program.ts'

const test = suite('the doctor on xla')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-test-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))

const doctor = (plugin: string, ...words: readonly string[]): Promise<string> =>
  new Promise((done) => {
    const args = [...command, 'doctor', '--no-measure', ...words]
    const env = { ...process.env, NO_COLOR: '1', SAILWRIGHT_XLA_PLUGIN: plugin }
    execFile(process.execPath, args, { env }, (_, out) => done(out))
  })

test('a plugin that does not load is named, with the libraries that are missing beside it', async () => {
  const path = join(folder, 'jax_plugins', 'xla_cuda13', 'xla_cuda_plugin.so')
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, 'no library')
  mkdirSync(join(folder, 'nvidia', 'cudnn', 'lib'), { recursive: true })
  const said = await doctor(path)
  assert.match(said, /xla: does not load/)
  assert.match(said, `the plugin ${path} (named) does not open`)
  assert.match(said, /beside it there is no libcudart\.so, .*libcudnn\.so/)
})

const plugin = await cpuPlugin()
if (plugin !== undefined)
  test('a plugin that loads is listed with its version and its devices', async () => {
    const { engines } = JSON.parse(await doctor(plugin, '--json')) as { engines: readonly EngineFound[] }
    const found = engines.find((e) => e.name === 'xla')!
    assert.is(found.loads, true)
    assert.is(found.gpu, false)
    assert.is(found.plugin!.plugin, plugin)
    assert.is(found.plugin!.platform, 'cpu')
    assert.match(found.plugin!.apiVersion, /^0\.\d+$/)
    assert.equal(
      found.plugin!.devices.map((d) => d.kind),
      ['cpu'],
    )
    assert.type(found.plugin!.devices[0]!.memory!.used, 'number')
    assert.match(
      await doctor(plugin),
      /plugin: named, PJRT API 0\.\d+, platform cpu\n +device 0: cpu, .* memory used/,
    )
  })

test.run()
