/**
 * What a TensorFlow for CUDA is given: where its compiler lies, which library is missing, no TF32 unless it is asked for, and
 * inputs that stay on the host. There is no such GPU here: folders are made up, and what is compiled is looked at.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { adviceOf } from '../../src/cli/advice.ts'
import * as d from '../../src/dsl/index.ts'
import { muteSource, nodeHeaders, sessionSource } from '../../src/engine/tensorflow/binding.ts'
import { compilerVariables, triedCuda } from '../../src/engine/tensorflow/cuda.ts'
import { engineHome, engineOf, installed, loadTensorflow } from '../../src/engine/tensorflow/index.ts'
import { orThrow } from '../../src/train/task.ts'
import { compiledTensorflow } from '../support/engines.ts'
import { loader, moduleAt } from '../support/program.ts'
import { putFile } from '../support/put-file.ts'

const test = suite('tensorflow: what CUDA needs')
let folder = ''
test.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), 'sailwright-test-'))
})
test.after.each(() => rmSync(folder, { recursive: true, force: true }))

const put = (file: string, text = ''): string => putFile(folder, file, text)

test('the compiler beside TensorFlow is told to XLA and put on the path, and what the user says stays', () => {
  const library = put('site/tensorflow/libtensorflow_cc.so.2')
  assert.equal(compilerVariables(library, { PATH: '/bin' }), {})
  put('site/nvidia/cuda_nvcc/bin/ptxas')
  const nvcc = join(folder, 'site/nvidia/cuda_nvcc')
  const flag = `--xla_gpu_cuda_data_dir=${nvcc}`
  assert.equal(compilerVariables(library, { PATH: '/bin' }), { XLA_FLAGS: flag, PATH: `${nvcc}/bin:/bin` })
  assert.equal(compilerVariables(library, { XLA_FLAGS: '--a=1', PATH: `${nvcc}/bin` }), {
    XLA_FLAGS: `--a=1 ${flag}`,
  })
  const own = { XLA_FLAGS: '--xla_gpu_cuda_data_dir=/usr/local/cuda', PATH: `/bin:${nvcc}/bin` }
  assert.equal(compilerVariables(library, own), {})
  const spaced = put('a site/tensorflow/libtensorflow_cc.so.2')
  put('a site/nvidia/cuda_nvcc/bin/ptxas')
  assert.match(compilerVariables(spaced, {}).XLA_FLAGS!, /^--xla_gpu_cuda_data_dir="[^"]+a site[^"]+"$/)
})

test('loading sets them in this process, before the library is loaded', () => {
  const home = engineHome({ SAILWRIGHT_HOME: folder })
  put('site/nvidia/cuda_nvcc/bin/ptxas')
  const library = put('site/tensorflow/libtensorflow_cc.so.2')
  mkdirSync(dirname(home.binding), { recursive: true })
  writeFileSync(home.binding, '')
  // what stands for the package tells what it is loaded with
  put(
    'tensorflow/node_modules/@tensorflow/tfjs-node/dist/index.js',
    'console.error(process.env.XLA_FLAGS + " " + process.env.PATH)',
  )
  const record = {
    from: 'x',
    tfjs: '4.22.0',
    tensorflow: '2.21.0',
    gpu: true,
    library,
    binding: home.binding,
  }
  writeFileSync(home.record, JSON.stringify(record))
  const script = `import { loadTensorflow } from ${JSON.stringify(moduleAt('src/engine/tensorflow/load.ts'))}\nloadTensorflow()`
  const { XLA_FLAGS: _, ...env } = process.env
  const ran = spawnSync(process.execPath, [...loader, '--input-type=module', '-e', script], {
    env: { ...env, SAILWRIGHT_HOME: folder },
    encoding: 'utf8',
  })
  const nvcc = join(folder, 'site/nvidia/cuda_nvcc')
  assert.ok(ran.stderr.startsWith(`--xla_gpu_cuda_data_dir=${nvcc} ${nvcc}/bin:`), ran.stderr)
})

test('each library that TensorFlow opens is tried, and the one that does not open is named', () => {
  const library = put('site/tensorflow/libtensorflow_cc.so.2')
  assert.equal(triedCuda(library), [], 'no record of its build')
  const record = 'site/tensorflow/python/platform/build_info.py'
  put(record, "build_info = collections.OrderedDict([('is_cuda_build', False), ('is_rocm_build', False)])")
  assert.equal(triedCuda(library), [], 'for the processor')
  put(
    record,
    "build_info = collections.OrderedDict([('cpu_compiler', 'clang'), ('cuda_compute_capabilities', ['sm_60', 'sm_70']), ('cuda_version', '12.5.1'), ('cudnn_version', '99'), ('is_cuda_build', True), ('is_rocm_build', False)])",
  )
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: readonly string[] }
  const some = sharedObjects.find((f) => /libm\.so|libdl\.so/.test(basename(f)))!
  mkdirSync(join(folder, 'site/nvidia/cuda_runtime/lib'), { recursive: true })
  copyFileSync(some, join(folder, 'site/nvidia/cuda_runtime/lib/libcudart.so.12'))
  put(
    'site/nvidia/cublas/lib/libcublas.so.12',
    'no library at all, but long enough to have a header that is none',
  )
  const tried = triedCuda(library)
  assert.equal(
    tried.map((l) => l.name),
    [
      ...['libcudart.so.12', 'libcublas.so.12', 'libcublasLt.so.12', 'libcufft.so.11'],
      ...['libcusolver.so.11', 'libcusparse.so.12', 'libcudnn.so.99'],
    ],
  )
  const problem = (name: string): string | undefined => tried.find((l) => l.name === name)!.problem
  assert.is(problem('libcudart.so.12'), undefined)
  assert.match(problem('libcublas.so.12')!, 'invalid ELF header')
  assert.match(problem('libcudnn.so.99')!, 'libcudnn.so.99: cannot open shared object file')
  const here = {
    ...{ node: 'v24', system: 'linux x64', cpu: 'a processor', cores: 2, load: 0 },
    ...{ memoryBytes: 8e9, freeBytes: 4e9, gpus: [] },
  }
  const [advice] = adviceOf(
    here as never,
    [{ name: 'tensorflow', loads: true, gpu: false, cuda: tried }],
    'tensorflow',
  )
  assert.match(
    advice!,
    /uses no GPU, because .*libcublas\.so\.12.*libcudnn\.so\.99 do not open: .*tensorflow\[and-cuda\]/,
  )
})

const library = installed()?.library
const compiler = ['g++', 'clang++'].find((c) => spawnSync(c, ['--version']).status === 0)
if (library === undefined || compiler === undefined)
  test.skip('there is no TensorFlow of the side folder, or no compiler', () => undefined)
else {
  const headers = [nodeHeaders(engineHome())!, join(dirname(library), 'include')].map((f) => `-I${f}`)
  const compile = (...args: readonly string[]): void => {
    const ran = spawnSync(compiler, ['-std=c++17', '-fPIC', '-w', ...headers, ...args], { encoding: 'utf8' })
    assert.is(ran.status, 0, ran.stderr)
  }

  test('what is compiled with our header copies no input to a device', () => {
    const source = put(
      'copies.cc',
      '#include "tensorflow/c/eager/c_api.h"\nTFE_TensorHandle* given(TFE_TensorHandle* h, TFE_Context* c, TF_Status* s) { return TFE_TensorHandleCopyToDevice(h, c, "GPU:0", s); }',
    )
    const called = (...with_: readonly string[]): string => {
      const object = join(folder, 'copies.o')
      compile('-c', source, '-o', object, ...with_)
      return spawnSync('nm', ['-u', object], { encoding: 'utf8' }).stdout
    }
    assert.match(called(), 'TFE_TensorHandleCopyToDevice')
    const ours = called('-include', put('session.h', sessionSource))
    assert.not.match(ours, 'TFE_TensorHandleCopyToDevice')
    assert.match(ours, 'TFE_TensorHandleCopySharingTensor')
  })

  test('the switch of TF32 is TensorFlow’s own', () => {
    const addon = join(folder, 'mute.node')
    const framework = join(dirname(library), 'libtensorflow_framework.so.2')
    if (!existsSync(framework)) return
    compile(
      '-shared',
      '-DNAPI_VERSION=8',
      `-DLIBRARY="${framework}"`,
      put('mute.cc', muteSource),
      '-o',
      addon,
      '-ldl',
    )
    const { tf32 } = createRequire(import.meta.url)(addon) as { tf32: (on?: boolean) => boolean }
    const before = tf32()
    assert.type(before, 'boolean')
    assert.is(tf32(false), false)
    assert.is(tf32(), false)
    assert.is(tf32(true), true)
    tf32(before)
  })
}

const compiled = await compiledTensorflow()
if (compiled.engine === undefined)
  test.skip(`tensorflow is not here: ${compiled.why.message.split('\n')[0]}`, () => undefined)
else
  test('float32 stays float32 on a GPU: TF32 is on only for the calls that ask for it', async () => {
    const loaded = loadTensorflow()
    if (loaded._tag === 'Left') throw new Error(loaded.left.message)
    const turned: boolean[] = []
    const engine = engineOf({ ...loaded.right, tf32: (on) => turned.push(on) > 0 })
    const p = d.program({ name: 'one', functions: { f: d.fixed(() => ({ outputs: { y: d.scalar(1) } })) } })
    const [plain, exact, rounded] = [
      await orThrow(engine.load(p)),
      await orThrow(engine.load(p, { compile: 'xla' })),
      await orThrow(engine.load(p, { compile: 'xla', precision: 'tf32' })),
    ]
    for (const s of [rounded, plain, exact, rounded]) await orThrow(s.call('f', {}))
    assert.equal(turned, [true, false, false, true])
    for (const s of [plain, exact, rounded]) await orThrow(s.close())
  })

test.run()
