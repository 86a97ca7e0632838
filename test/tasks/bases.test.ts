import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parametersOf } from '../../src/dsl/index.ts'
import { tensorValue } from '../../src/engine/values.ts'
import { BasesError, nanoBases, readBases } from '../../src/tasks/bases.ts'
import { nanoModel } from '../../src/tasks/nano.ts'
import { orThrow } from '../../src/train/task.ts'
import { saveWeights, type Weights } from '../../src/train/weights.ts'
import { thrown } from '../support/tiny.ts'

const test = suite('train: bases')

const folders: string[] = []
test.after(async () => {
  for (const f of folders) await rm(f, { recursive: true, force: true })
})

const vision: Weights = new Map([['vision_model.a', tensorValue('float32', [2], [1, -2])]])
const language: Weights = new Map([['language_model.b', tensorValue('float32', [2, 1], [0.5, 0.25])]])

/** A folder with two bases and their manifest. */
const made = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'sailwright-bases-'))
  folders.push(folder)
  const files: unknown[] = []
  for (const [file, weights] of [
    ['vision.safetensors', vision],
    ['language.safetensors', language],
  ] as const) {
    await orThrow(saveWeights(join(folder, file), weights, {}, 'F16'))
    const sha256 = createHash('sha256')
      .update(await readFile(join(folder, file)))
      .digest('hex')
    files.push({ file, sha256, parameters: 2, command: 'made', seed: 0 })
  }
  await writeFile(join(folder, 'manifest.json'), JSON.stringify({ files }))
  return folder
}

/** The error of reading a folder, which names this file and says what to do. */
const refused = async (folder: string, file: string): Promise<BasesError> => {
  const error = await thrown(() => orThrow(readBases(folder)))
  assert.instance(error, BasesError)
  assert.is((error as BasesError).file, join(folder, file))
  assert.ok(error.message.startsWith(`${join(folder, file)}: `))
  assert.match(
    error.message,
    /install the package again, or make the bases anew with examples\/pretrain-bases\.ts/,
  )
  return error as BasesError
}

test('all files of the manifest, as one set of weights', async () => {
  const got = await orThrow(readBases(await made()))
  assert.equal(new Map(got), new Map([...vision, ...language]))
})

test('a file of one changed bit is refused, with both sums', async () => {
  const folder = await made()
  const file = join(folder, 'language.safetensors')
  const bytes = await readFile(file)
  bytes[bytes.length - 1]! ^= 1
  await writeFile(file, bytes)
  const error = await refused(folder, 'language.safetensors')
  assert.is(error.tag, 'BadChecksum')
  const { files } = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'))
  assert.ok(error.message.includes(`the manifest says ${files[1].sha256}`))
  assert.ok(error.message.includes(createHash('sha256').update(bytes).digest('hex')))
})

test('a missing file, manifest or folder', async () => {
  const folder = await made()
  await rm(join(folder, 'vision.safetensors'))
  assert.is((await refused(folder, 'vision.safetensors')).tag, 'Missing')
  await rm(join(folder, 'manifest.json'))
  assert.is((await refused(folder, 'manifest.json')).tag, 'Missing')
  assert.is((await refused(join(folder, 'nowhere'), 'manifest.json')).tag, 'Missing')
})

for (const [what, text, says] of [
  ['no JSON', '{"files": [', /this is not JSON/],
  ['no files', '{}', /key 'files'/],
  ['no checksum', '{"files": [{"file": "a"}]}', /key 'files\.0\.sha256'/],
  ['a list', '[]', /the value should be \{ files/],
] as const)
  test(`a manifest that is ${what}`, async () => {
    const folder = await made()
    await writeFile(join(folder, 'manifest.json'), text)
    const error = await refused(folder, 'manifest.json')
    assert.is(error.tag, 'BadManifest')
    assert.match(error.message, says)
  })

test('a file that the manifest vouches for and that is no safetensors file', async () => {
  const folder = await made()
  const bytes = Buffer.from('no weights here')
  await writeFile(join(folder, 'odd.bin'), bytes)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const entry = { file: 'odd.bin', sha256, parameters: 0, command: '', seed: 0 }
  await writeFile(join(folder, 'manifest.json'), JSON.stringify({ files: [entry] }))
  const error = await thrown(() => orThrow(readBases(folder)))
  assert.ok(error.message.includes(join(folder, 'odd.bin')))
})

const shipped = existsSync(new URL('../../assets/nano/bases/manifest.json', import.meta.url))
if (shipped)
  test('the bases that ship: every parameter of encoder and language model, and no adapter', async () => {
    const weights = await orThrow(nanoBases)
    const wanted = parametersOf(nanoModel.graph())
    const without = [...wanted.keys()].filter((k) => !k.startsWith('mlp1.'))
    assert.equal([...weights.keys()].sort(), without.sort())
    for (const [key, v] of weights) {
      assert.equal(
        v.shape,
        wanted.get(key)!.axes.map((a) => a.size),
        key,
      )
      assert.ok(v.data.every(Number.isFinite), key)
    }
  })
else
  test('bases that do not ship are missed by name', async () => {
    assert.match((await thrown(() => orThrow(nanoBases))).message, /assets\/nano\/bases\/manifest\.json/)
  })

test.run()
