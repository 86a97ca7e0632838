import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { lastValueFrom, toArray } from 'rxjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runCommand } from '../../src/engine/install/command.ts'
import { InstallError } from '../../src/engine/install/install-error.ts'
import { sourceOf } from '../../src/engine/install/source.ts'
import { engineHome, installed, installTensorflow } from '../../src/engine/tensorflow/index.ts'
import { cudaLibraries, findLibrary, provideLibrary } from '../../src/engine/tensorflow/library.ts'

const test = suite('tensorflow: installing')
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
const failing = async (run: () => unknown): Promise<InstallError> => {
  try {
    await run()
  } catch (e) {
    if (e instanceof InstallError) return e
    throw e
  }
  throw new Error('an InstallError was expected')
}
const install = (from: string, more: { readonly compiler?: string } = {}) =>
  lastValueFrom(
    installTensorflow({ from, home: engineHome({ SAILWRIGHT_HOME: join(folder, 'home') }), ...more }).pipe(
      toArray(),
    ),
  )

test('the side folder follows SAILWRIGHT_HOME, then XDG_DATA_HOME', () => {
  assert.is(engineHome({ SAILWRIGHT_HOME: '/a' }).root, join('/a', 'tensorflow'))
  assert.is(engineHome({ XDG_DATA_HOME: '/b' }).root, join('/b', 'sailwright', 'tensorflow'))
  assert.ok(engineHome({}).root.endsWith(join('.local', 'share', 'sailwright', 'tensorflow')))
})

test('from: a folder, a file, a requirement, or a path where nothing is', async () => {
  put('some.whl')
  assert.equal(sourceOf(folder), { kind: 'folder', path: folder })
  assert.equal(sourceOf(join(folder, 'some.whl')), { kind: 'file', path: join(folder, 'some.whl') })
  assert.equal(sourceOf('tensorflow[and-cuda]==2.21.0'), {
    kind: 'requirement',
    requirement: 'tensorflow[and-cuda]==2.21.0',
  })
  const e = await failing(() => sourceOf(join(folder, 'gone.tar.gz')))
  assert.is(e.tag, 'NoSuchSource')
  assert.match(e.message, 'gone.tar.gz')
})

test('an unpacked wheel is found, also inside a Python environment, with the CUDA libraries beside it', async () => {
  const at = 'lib/python3.12/site-packages'
  put(
    `${at}/tensorflow/libtensorflow_cc.so.2`,
    `${at}/tensorflow/libtensorflow_framework.so.2`,
    `${at}/tensorflow/include/tensorflow/c/c_api.h`,
    `${at}/nvidia/cublas/lib/libcublas.so.12`,
    `${at}/nvidia/cublas/lib/libnvblas.so.12`,
    `${at}/nvidia/cudnn/lib/libcudnn.so.9`,
  )
  const found = await findLibrary(folder)
  const tf = join(folder, at, 'tensorflow')
  assert.equal(found, {
    files: [join(tf, 'libtensorflow_cc.so.2'), join(tf, 'libtensorflow_framework.so.2')],
    include: join(tf, 'include'),
  })
  assert.equal(await cudaLibraries(found!), [
    join(folder, at, 'nvidia/cublas/lib/libcublas.so.12'),
    join(folder, at, 'nvidia/cudnn/lib/libcudnn.so.9'),
  ])
})

test('an unpacked libtensorflow is found: lib and include side by side', async () => {
  put('lib/libtensorflow.so.2', 'lib/libtensorflow_framework.so.2', 'include/tensorflow/c/c_api.h')
  assert.equal(await findLibrary(folder), {
    files: [join(folder, 'lib/libtensorflow.so.2'), join(folder, 'lib/libtensorflow_framework.so.2')],
    include: join(folder, 'include'),
  })
})

test('an archive is unpacked into the given folder', async () => {
  put('from/lib/libtensorflow.so.2', 'from/include/tensorflow/c/c_api.h')
  const archive = join(folder, 'libtensorflow.tar.gz')
  const packed = await runCommand('tar', ['-czf', archive, '-C', join(folder, 'from'), '.'])
  assert.is(packed.status, 0, packed.output)
  const into = join(folder, 'library')
  assert.equal(await provideLibrary(sourceOf(archive), into), {
    files: [join(into, 'lib/libtensorflow.so.2')],
    include: join(into, 'include'),
  })
})

test('a file that is no archive, or a broken one', async () => {
  put('notes.txt', 'broken.tar.gz')
  const into = join(folder, 'library')
  const no = await failing(() => provideLibrary(sourceOf(join(folder, 'notes.txt')), into))
  assert.is(no.tag, 'BadArchive')
  const broken = await failing(() => provideLibrary(sourceOf(join(folder, 'broken.tar.gz')), into))
  assert.is(broken.tag, 'BadArchive')
  assert.match(broken.message, /does not unpack/)
})

test('what was installed before stays until its successor is whole', async () => {
  put('library/old', 'broken.tar.gz', 'other/readme')
  const into = join(folder, 'library')
  await failing(() => provideLibrary(sourceOf(join(folder, 'broken.tar.gz')), into))
  const archive = join(folder, 'other.tar.gz')
  await runCommand('tar', ['-czf', archive, '-C', join(folder, 'other'), '.'])
  const e = await failing(() => provideLibrary(sourceOf(archive), into))
  assert.is(e.tag, 'NotTensorFlow')
  assert.equal(readdirSync(into), ['old'])
  assert.not(existsSync(`${into}.new`))
})

test('a folder without TensorFlow says what was looked for, before anything is fetched', async () => {
  put('lib/libtensorflow.so.2')
  const e = await failing(() => install(folder))
  assert.is(e.tag, 'NotTensorFlow')
  assert.match(e.message, 'include/tensorflow/c/c_api.h')
})

test('without a compiler it says how to get one', async () => {
  put('lib/libtensorflow.so.2', 'include/tensorflow/c/c_api.h')
  const e = await failing(() => install(folder, { compiler: join(folder, 'no-such-compiler') }))
  assert.is(e.tag, 'NoCompiler')
  assert.match(e.message, /apt-get install g\+\+/)
})

test('a half-finished installation does not count as installed', () => {
  const home = engineHome({ SAILWRIGHT_HOME: folder })
  assert.is(installed(home), undefined)
  mkdirSync(home.root, { recursive: true })
  const record = {
    from: 'x',
    tfjs: '4.22.0',
    tensorflow: '2.21.0',
    gpu: false,
    library: join(folder, 'lib.so'),
    binding: home.binding,
  }
  writeFileSync(home.record, JSON.stringify(record))
  assert.is(installed(home), undefined)
  put('lib.so')
  mkdirSync(dirname(home.binding), { recursive: true })
  writeFileSync(home.binding, '')
  assert.equal(installed(home), record)
  writeFileSync(home.record, '{"from": 1')
  assert.is(installed(home), undefined)
})

test('unsubscribing stops a program that is running', async () => {
  const abort = new AbortController()
  const running = runCommand('sleep', ['60'], { signal: abort.signal })
  setTimeout(() => abort.abort(new Error('stopped')), 20)
  try {
    await running
    assert.unreachable()
  } catch (e) {
    assert.match(String(e), 'stopped')
  }
})

test.run()
