import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { lastValueFrom } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { InstallError, type InstallErrorTag } from '../../../src/engine/install/install-error.ts'
import {
  cudaDataIn,
  describePlugin,
  findPlugin,
  librariesIn,
  pluginIn,
} from '../../../src/engine/xla/find.ts'
import { xlaHome } from '../../../src/engine/xla/home.ts'
import { type InstallXlaOptions, installXla, requirementFor } from '../../../src/engine/xla/install.ts'
import { cpuPlugin } from '../../support/cpu-plugin.ts'

const test = suite('xla: installing')
let folder = ''
test.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), 'sailwright-test-'))
})
test.after.each(() => rmSync(folder, { recursive: true, force: true }))

const put = (...files: readonly string[]): void => {
  for (const f of files) {
    mkdirSync(dirname(join(folder, f)), { recursive: true })
    writeFileSync(join(folder, f), '')
  }
}
const env = () => ({ SAILWRIGHT_HOME: join(folder, 'home'), PYTHON: join(folder, 'no-python') })
const install = (options: InstallXlaOptions) =>
  lastValueFrom(installXla({ home: xlaHome(env()), ...options }))

const failing = async (run: () => unknown, tag: InstallErrorTag): Promise<string> => {
  try {
    await run()
  } catch (e) {
    if (!(e instanceof InstallError)) throw e
    assert.is(e.tag, tag)
    return e.message
  }
  throw new Error('an InstallError was expected')
}

test('the plugin fits the driver', async () => {
  assert.is(requirementFor(580), 'jax-cuda13-plugin[with-cuda]')
  assert.is(requirementFor(550), 'jax-cuda12-plugin[with-cuda]')
  assert.is(requirementFor(undefined, true), 'jax-rocm7-pjrt')
  assert.match(await failing(() => requirementFor(undefined, false), 'NoDevice'), '--from')
})

test("a wheel's plugin is found with NVIDIA's libraries in the order of their needs", () => {
  put(
    'jax_plugins/xla_cuda13/__init__.py',
    'jax_plugins/xla_cuda13/xla_cuda_plugin.so',
    'nvidia/cu13/lib/libcublas.so.13',
    'nvidia/cu13/lib/libcublasLt.so.13',
    'nvidia/cu13/lib/libcudart.so.13',
    'nvidia/cu13/bin/ptxas',
    'nvidia/cu13/nvvm/libdevice/libdevice.10.bc',
    'nvidia/cudnn/lib/libcudnn.so.9',
    'nvidia/cudnn/lib/libcudnn_graph.so.9',
  )
  const path = join(folder, 'jax_plugins/xla_cuda13/xla_cuda_plugin.so')
  assert.is(pluginIn(folder), path)
  const lib = join(folder, 'nvidia/cu13/lib')
  assert.equal(librariesIn(folder).found, [
    join(lib, 'libcudart.so.13'),
    join(lib, 'libcublasLt.so.13'),
    join(lib, 'libcublas.so.13'),
    join(folder, 'nvidia/cudnn/lib/libcudnn.so.9'),
  ])
  assert.ok(librariesIn(folder).missing.includes('libcufft.so'))
  assert.is(cudaDataIn(folder), join(folder, 'nvidia/cu13'))
  const described = describePlugin(path, 'here')
  assert.equal(described.flags, { xla_gpu_cuda_data_dir: join(folder, 'nvidia/cu13') })
  assert.is(described.options.platform_name, 'cuda')
  assert.is(described.options.preallocate, false)
})

test('where nothing is, what was tried is said', () => {
  const found = findPlugin(undefined, env())
  assert.is(found._tag, 'Left')
  if (found._tag === 'Left') assert.match(found.left.join('\n'), /nothing was installed .*\n.*no-python/)
  const gone = findPlugin('/no/such.so', env())
  if (gone._tag === 'Left') assert.equal(gone.left, ['there is no file /no/such.so'])
})

test('what cannot be installed from is refused by name, and leaves what was there', async () => {
  put('empty/readme', 'home/xla/library/jax_plugins/a/libtpu.so', 'broken.whl')
  assert.match(await failing(() => install({ plugin: join(folder, 'no.so') }), 'NoSuchSource'), 'no.so')
  assert.match(await failing(() => install({ from: join(folder, 'gone.whl') }), 'NoSuchSource'), 'gone.whl')
  assert.match(await failing(() => install({ from: join(folder, 'empty') }), 'NoPlugin'), 'jax_plugins')
  assert.match(await failing(() => install({ python: env().PYTHON }), 'NoPython'), 'no-python')
  await failing(() => install({ from: join(folder, 'broken.whl') }), 'BadArchive')
  await failing(() => install({ plugin: 'a', from: 'b' }), 'NoSuchSource')
  assert.ok(existsSync(join(folder, 'home/xla/library/jax_plugins/a/libtpu.so')))
})

test('a file that is no plugin fails its check, and is not recorded', async () => {
  put('jax_plugins/xla_cuda13/xla_cuda_plugin.so')
  assert.match(await failing(() => install({ from: folder }), 'CheckFailed'), 'libcudart.so')
  assert.not(existsSync(xlaHome(env()).record))
})

const plugin = await cpuPlugin()
if (plugin !== undefined)
  test('a plugin is checked on its device, recorded, and found from then on', async () => {
    put('wheels/jax_plugins/test/x')
    copyFileSync(plugin, join(folder, 'wheels/jax_plugins/test/libtpu.so'))
    const last = await install({ from: join(folder, 'wheels') })
    assert.is(last.type, 'installed')
    const path = join(folder, 'wheels/jax_plugins/test/libtpu.so')
    assert.equal(JSON.parse(readFileSync(xlaHome(env()).record, 'utf8')), {
      plugin: path,
      from: join(folder, 'wheels'),
      platform: 'cpu',
      devices: ['cpu'],
    })
    const found = findPlugin(undefined, env())
    assert.is(found._tag === 'Right' && found.right.path, path)
  })

test.run()
