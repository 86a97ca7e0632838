/** Laying down a plugin: which one a machine wants, from where it comes, what stays where it does not work. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { lastValueFrom, tap, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { InstallError } from '../../../src/engine/install/install-error.ts'
import { findAccelerator, withLibraries } from '../../../src/engine/xla/accelerator.ts'
import { describePlugin, findPlugin, pluginIn } from '../../../src/engine/xla/find.ts'
import { xlaHome } from '../../../src/engine/xla/home.ts'
import { type InstallXlaEvent, type InstallXlaOptions, installXla } from '../../../src/engine/xla/install.ts'
import { choose } from '../../../src/engine/xla/wheels.ts'
import { cpuPlugin } from '../../support/cpu-plugin.ts'
import { putFile } from '../../support/put-file.ts'

const test = suite('xla: installing')
let folder = ''
test.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), 'sailwright-test-'))
})
test.after.each(() => rmSync(folder, { recursive: true, force: true }))

const put = (file: string, text = ''): string => putFile(folder, file, text)
const failing = async (run: () => unknown): Promise<InstallError> => {
  try {
    await run()
  } catch (e) {
    if (e instanceof InstallError) return e
    throw e
  }
  throw new Error('an InstallError was expected')
}
const env = () => ({ SAILWRIGHT_HOME: join(folder, 'home'), PYTHON: join(folder, 'no-python') })
const install = async (options: InstallXlaOptions, saw: InstallXlaEvent[] = []) => {
  const last = (
    await lastValueFrom(
      installXla({ home: xlaHome(env()), ...options }).pipe(
        tap((e) => saw.push(e)),
        toArray(),
      ),
    )
  ).at(-1)!
  if (last.type !== 'installed') throw new Error('the last event must be installed')
  return last.installed
}

// what a machine wants

const machine = (smi: string | undefined) => ({
  root: folder,
  run: async () => (smi === undefined ? { status: 127, output: '' } : { status: 0, output: smi }),
})

test("an NVIDIA card wants the newest CUDA that its driver and it can run, with CUDA's libraries", async () => {
  const hopper = await findAccelerator(machine('580.95.05, 9.0, NVIDIA H100 80GB HBM3'))
  assert.is(hopper!.name, 'NVIDIA H100 80GB HBM3, driver 580.95.05')
  assert.is(hopper!.wheels[0], 'jax-cuda13-pjrt')
  for (const name of ['nvidia-cublas<14', 'nvidia-cudnn-cu13<10', 'nvidia-cuda-nvcc<14', 'nvidia-nvvm<14'])
    assert.ok(hopper!.wheels.includes(name), name)
  const older = await findAccelerator(machine('550.54, 8.0, NVIDIA A100'))
  assert.is(older!.wheels[0], 'jax-cuda12-pjrt')
  assert.ok(older!.wheels.slice(1).every((name) => /-cu12/.test(name)))
  // the weakest of several cards decides
  const mixed = await findAccelerator(machine('580.65, 9.0, NVIDIA H100\n580.65, 7.0, Tesla V100'))
  assert.is(mixed!.wheels[0], 'jax-cuda12-pjrt')
  const e = await failing(() => findAccelerator(machine('470.256, 3.5, Tesla K40')))
  assert.is(e.tag, 'NoDevice')
  assert.match(e.message, /Tesla K40, driver 470\.256: .*525/)
})

test("without nvidia-smi the driver's own file says its version", async () => {
  put(
    'proc/driver/nvidia/version',
    'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.82.07  Release Build\nGCC version: 12.3.0\n',
  )
  const found = await findAccelerator(machine(undefined))
  assert.is(found!.name, 'NVIDIA GPU, driver 580.82.07')
  assert.is(found!.wheels[0], 'jax-cuda13-pjrt')
})

test('AMD by the version of ROCm, a TPU by its number on the bus, nothing else', async () => {
  assert.is(await findAccelerator(machine(undefined)), undefined)
  const pci = (id: string, vendor: string, device: string, kind: string): void => {
    put(`sys/bus/pci/devices/${id}/vendor`, `${vendor}\n`)
    put(`sys/bus/pci/devices/${id}/device`, `${device}\n`)
    put(`sys/bus/pci/devices/${id}/class`, `${kind}\n`)
  }
  // the network card of Google's machines
  pci('0000:00:04.0', '0x1ae0', '0x0042', '0x020000')
  assert.is(await findAccelerator(machine(undefined)), undefined)
  pci('0000:00:05.0', '0x1ae0', '0x0063', '0x120000')
  assert.equal((await findAccelerator(machine(undefined)))!.wheels, ['libtpu'])
  put('dev/kfd')
  assert.match((await failing(() => findAccelerator(machine(undefined)))).message, /ROCm/)
  put('opt/rocm/.info/version', '7.1.0-20\n')
  assert.equal((await findAccelerator(machine(undefined)))!.wheels, ['jax-rocm7-pjrt'])
  put('opt/rocm/.info/version', '6.4.1\n')
  assert.equal((await findAccelerator(machine(undefined)))!.wheels, ['jax-rocm60-pjrt'])
})

test('a card without its driver is named', async () => {
  put('sys/bus/pci/devices/0/vendor', '0x10de\n')
  put('sys/bus/pci/devices/0/device', '0x2330\n')
  put('sys/bus/pci/devices/0/class', '0x030200\n')
  const e = await failing(() => findAccelerator(machine(undefined)))
  assert.is(e.tag, 'NoDevice')
  assert.match(e.message, 'an NVIDIA GPU is here and its driver is not')
})

// wheels of a folder

const wheels13 = [
  'jax_cuda13_pjrt-0.11.2-py3-none-manylinux_2_27_x86_64.whl',
  'nvidia_cublas-13.1.1.3-py3-none-manylinux_2_27_x86_64.whl',
  'nvidia_cudnn_cu13-9.24.0.43-py3-none-manylinux_2_27_x86_64.whl',
]
const wheels12 = [
  'jax_cuda12_pjrt-0.11.2-py3-none-manylinux_2_27_x86_64.whl',
  'nvidia_cublas_cu12-12.9.1.4-py3-none-manylinux_2_27_x86_64.whl',
]
const nothing = async () => undefined

test('of a folder, the plugin and the libraries of its CUDA are taken, the newest of each', async () => {
  const others = ['torch-2.11.0-cp312-cp312-manylinux_2_28_x86_64.whl', ...wheels12.slice(1)]
  const older = 'nvidia_cublas-13.0.2.14-py3-none-manylinux_2_27_x86_64.whl'
  assert.equal(await choose([older, ...others, ...wheels13, older], nothing), wheels13)
  assert.equal(await choose([...wheels12, ...wheels13.slice(1)], nothing), wheels12)
  assert.equal(await choose([...wheels12, ...wheels13], async () => 'jax-cuda12-pjrt'), wheels12)
  const many = await failing(() => choose([...wheels12, ...wheels13], nothing))
  assert.match(many.message, 'several plugins (jax-cuda12-pjrt, jax-cuda13-pjrt)')
  assert.is((await failing(() => choose(others, nothing))).tag, 'NoPlugin')
})

// what lies beside a plugin

test("beside a plugin: the libraries of its CUDA in the order of their need, the compiler's folder, what is missing", () => {
  const site = 'lib/python3.12/site-packages'
  const plugin = put(`${site}/jax_plugins/xla_cuda13/xla_cuda_plugin.so`)
  for (const lib of ['libcublas.so.13', 'libcublasLt.so.13', 'libcudart.so.13', 'libnvrtc.so.13'])
    put(`${site}/nvidia/cu13/lib/${lib}`)
  for (const lib of ['libnvrtc.alt.so.13', 'libcudart_static.a']) put(`${site}/nvidia/cu13/lib/${lib}`)
  put(`${site}/nvidia/cudnn/lib/libcudnn.so.9`)
  // another CUDA in the same folder
  put(`${site}/nvidia/cublas/lib/libcublas.so.12`)
  put(`${site}/nvidia/cu13/bin/ptxas`)
  put(`${site}/nvidia/cu13/nvvm/libdevice/libdevice.10.bc`)
  put(`${site}/nvidia/cuda_nvcc/bin/ptxas`)
  put(`${site}/nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc`)
  const found = describePlugin(plugin, 'named')
  const at = (path: string): string => join(folder, site, 'nvidia', path)
  assert.equal(found.libraries, [
    at('cu13/lib/libcudart.so.13'),
    at('cu13/lib/libnvrtc.so.13'),
    at('cu13/lib/libcublasLt.so.13'),
    at('cu13/lib/libcublas.so.13'),
    at('cudnn/lib/libcudnn.so.9'),
  ])
  assert.equal(found.missing, [
    'libnvJitLink.so',
    'libnccl.so',
    'libcupti.so',
    'libcusparse.so',
    'libcusolver.so',
    'libcufft.so',
    'libnvshmem_host.so',
  ])
  assert.equal(found.flags, { xla_gpu_cuda_data_dir: at('cu13') })
  // the plugin for the other CUDA takes the other's
  const twelve = describePlugin(put(`${site}/jax_plugins/xla_cuda12/xla_cuda_plugin.so`), 'named')
  assert.ok(twelve.libraries.includes(at('cublas/lib/libcublas.so.12')))
  assert.ok(twelve.libraries.every((path) => !path.includes('/cu13/')))
  assert.equal(twelve.flags, { xla_gpu_cuda_data_dir: at('cuda_nvcc') })
})

test("a TPU's plugin lies in a folder of its own and needs nothing beside it", () => {
  const plugin = put('libtpu/libtpu.so')
  assert.is(pluginIn(folder), plugin)
  assert.equal(describePlugin(plugin, 'x').options, {})
})

test('where nothing is, what was tried is said', () => {
  const found = findPlugin(undefined, env())
  assert.is(found._tag, 'Left')
  if (found._tag === 'Left') assert.match(found.left.join('\n'), /nothing was installed .*\n.*no-python/)
  const gone = findPlugin('/no/such.so', env())
  assert.equal(gone._tag === 'Left' && gone.left, ['there is no file /no/such.so'])
})

// errors before anything is fetched

test('sources that are not there, or hold nothing', async () => {
  for (const options of [
    { from: './gone' },
    { from: 'gone.whl' },
    { plugin: join(folder, 'gone.so') },
  ] as const) {
    const e = await failing(() => install(options))
    assert.is(e.tag, 'NoSuchSource')
    assert.match(e.message, 'gone')
  }
  const two = await failing(() => install({ plugin: 'a', from: 'b' }))
  assert.match(two.message, 'exclude each other')
  put('empty/readme')
  assert.match((await failing(() => install({ from: join(folder, 'empty') }))).message, 'neither wheels nor')
  assert.is((await failing(() => install({ python: join(folder, 'no-python') }))).tag, 'NoPython')
  put('broken/jax_cuda13_pjrt-1.0-py3-none-any.whl', 'no archive')
  assert.is((await failing(() => install({ from: join(folder, 'broken') }))).tag, 'BadArchive')
  assert.not(existsSync(xlaHome(env()).record))
})

// the whole way, with a plugin that computes

const plugin = await cpuPlugin()
const python = ['python3', 'python'].find((name) => spawnSync(name, ['-m', 'pip', '--version']).status === 0)

/** A wheel: the given files (of text, or copies of others), and pip's description. */
const wheel = (
  into: string,
  name: string,
  version: string,
  files: Readonly<Record<string, string>>,
): string => {
  mkdirSync(join(folder, into), { recursive: true })
  const path = join(folder, into, `${name.replaceAll('-', '_')}-${version}-py3-none-any.whl`)
  const script = [
    'import json, os, sys, zipfile',
    'path, name, version, files = sys.argv[1:]',
    'z = zipfile.ZipFile(path, "w")',
    'for file, source in json.loads(files).items():',
    '  z.write(source, file) if source else z.writestr(file, "")',
    'd = name.replace("-", "_") + "-" + version + ".dist-info/"',
    'z.writestr(d + "METADATA", "Metadata-Version: 2.1\\nName: " + name + "\\nVersion: " + version + "\\n")',
    'z.writestr(d + "WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")',
    'z.writestr(d + "RECORD", "")',
    'z.close()',
  ].join('\n')
  const made = spawnSync(python!, ['-c', script, path, name, version, JSON.stringify(files)], {
    encoding: 'utf8',
  })
  assert.is(made.status, 0, made.stderr)
  return path
}
/** The maker's wheel; `file` is what lies in the plugin's place. */
const pluginWheel = (into: string, file: string): string =>
  wheel(into, 'jax-cuda13-pjrt', '0.11.2', {
    'jax_plugins/xla_cuda13/xla_cuda_plugin.so': file,
    'nvidia/cu13/bin/ptxas': '',
  })

if (plugin !== undefined) {
  test('a plugin that is named is opened, computes, and is found from then on', async () => {
    const saw: InstallXlaEvent[] = []
    const done = await install({ plugin }, saw)
    assert.is(done.plugin, plugin)
    assert.is(done.platform, 'cpu')
    assert.equal(done.devices, ['cpu'])
    assert.match(done.apiVersion, /^0\.\d+$/)
    assert.equal(JSON.parse(readFileSync(xlaHome(env()).record, 'utf8')), done)
    assert.equal(
      saw.map((e) => (e.type === 'step' ? e.step : e.type)),
      ['plugin', 'check', 'installed'],
    )
    const found = findPlugin(undefined, env())
    assert.is(found._tag === 'Right' && found.right.path, plugin)
  })

  test('a Python that has a plugin is used in place', async () => {
    const site = join(folder, 'site-packages')
    const lies = join(site, 'jax_plugins', 'xla_cuda13', 'xla_cuda_plugin.so')
    mkdirSync(dirname(lies), { recursive: true })
    copyFileSync(plugin, lies)
    const fake = put('python', `#!/bin/sh\necho '${site}'\n`)
    chmodSync(fake, 0o755)
    const saw: InstallXlaEvent[] = []
    assert.is((await install({ python: fake }, saw)).plugin, lies)
    assert.ok(saw.some((e) => e.type === 'step' && /beside it there is no libcudart\.so/.test(e.message)))
    assert.not(existsSync(xlaHome(env()).library))
    // without an installation it is found as well
    const found = findPlugin(undefined, { SAILWRIGHT_HOME: join(folder, 'other'), PYTHON: fake })
    assert.is(found._tag === 'Right' && found.right.path, lies)
    // a folder in which it lies
    assert.is((await install({ from: site })).plugin, lies)
  })
}

if (plugin !== undefined && python !== undefined) {
  test('a folder of wheels is unpacked into the side folder; what does not work leaves what was there', async () => {
    pluginWheel('wheels', plugin)
    const home = xlaHome(env())
    const done = await install({ from: join(folder, 'wheels') })
    assert.is(done.plugin, join(home.library, 'jax_plugins', 'xla_cuda13', 'xla_cuda_plugin.so'))
    assert.ok(statSync(join(home.library, 'nvidia', 'cu13', 'bin', 'ptxas')).mode & 0o100)
    const before = readFileSync(home.record, 'utf8')
    const bad = pluginWheel('bad', put('no-library', 'text'))
    const e = await failing(() => install({ from: bad }))
    assert.is(e.tag, 'CheckFailed')
    assert.match(e.message, 'no libcudart.so')
    assert.is(readFileSync(home.record, 'utf8'), before)
    assert.equal(readdirSync(home.root).sort(), ['installed.json', 'library'])
    const found = findPlugin(undefined, env())
    assert.is(found._tag === 'Right' && found.right.bytes, statSync(plugin).size)
  })

  test('what is asked for by name is fetched by pip, libraries and all', async () => {
    pluginWheel('index', plugin)
    const kept = { ...process.env }
    Object.assign(process.env, {
      PIP_CONFIG_FILE: '/dev/null',
      PIP_NO_INDEX: '1',
      PIP_FIND_LINKS: join(folder, 'index'),
      PYTHON: python,
    })
    try {
      // the libraries are asked for with the plugin, and are not there
      const e = await failing(() => install({ from: 'jax-cuda13-pjrt' }))
      assert.is(e.tag, 'NotFetched')
      assert.match(e.message, 'nvidia-cuda-runtime')
      for (const library of withLibraries('jax-cuda13-pjrt').slice(1)) {
        const name = library.split('<')[0]!
        // one of a version that is too new
        const versions = name === 'nvidia-cublas' ? ['12.1', '14.0'] : ['9.1']
        for (const version of versions)
          wheel('index', name, version, { [`nvidia/${name}/version-${version}`]: '' })
      }
      const done = await install({ from: 'jax-cuda13-pjrt' })
      const { library } = xlaHome(env())
      assert.is(done.plugin, join(library, 'jax_plugins', 'xla_cuda13', 'xla_cuda_plugin.so'))
      assert.ok(existsSync(join(library, 'nvidia', 'nvidia-cublas', 'version-12.1')))
      assert.ok(existsSync(join(library, 'nvidia', 'nvidia-nvvm', 'version-9.1')))
    } finally {
      for (const name of Object.keys(process.env)) if (!(name in kept)) delete process.env[name]
      Object.assign(process.env, kept)
    }
  })
}

test.run()
