import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isLeft } from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { writeWhole } from '../../src/run/files.ts'
import { openRun } from '../../src/run/run-folder.ts'
import { loader, moduleAt } from '../support/program.ts'
import { syntheticManifest } from '../support/synthetic-run.ts'

const test = suite('disks that are full or may not be written')
const root = mkdtempSync(join(tmpdir(), 'sailwright-disk-'))
chmodSync(root, 0o755)
test.after(() => rmSync(root, { recursive: true, force: true }))

const source = (file: string): string => JSON.stringify(moduleAt(file))

/** A program of its own that prints JSON; the shell's limit on the size of a file, in KiB, stands for the disk's end. */
const told = (program: string, kilobytes: number | 'unlimited' = 'unlimited'): unknown => {
  const { status, stdout, stderr } = spawnSync(
    'bash',
    [
      ...['-c', `ulimit -f "$2"; exec "$0" ${loader.join(' ')} --input-type=module -e "$1"`],
      ...[process.execPath, program, String(kilobytes)],
    ],
    { encoding: 'utf8' },
  )
  assert.is(status, 0, stderr)
  return JSON.parse(stdout)
}

test('a checkpoint that finds no room is an error that says so; the one before it stays, and nothing half written', () => {
  const at = join(root, 'full')
  mkdirSync(at)
  const path = join(at, 'training.safetensors')
  const result = told(
    `
    import { loadProgress, saveProgress } from ${source('src/run/checkpoint.ts')}
    const path = ${JSON.stringify(path)}
    const session = (size, step) => ({
      program: { states: new Map([['w', { key: 'w', dtype: 'float32', axes: [{ name: 'n', size }] }]]) },
      read: () => async () => ({ _tag: 'Right', right: new Map([['w', { shape: [size], dtype: 'float32', data: new Float32Array(size).fill(step) }]]) }),
      write: (values) => async () => { written = values.get('w').data[0]; return { _tag: 'Right' } },
    })
    let written
    const at = (step) => ({ step, seconds: 1, tailLoss: 0 })
    const first = await saveProgress(path, session(1000, 1), at(1))()
    const second = await saveProgress(path, session(2_000_000, 2), at(2))()
    const back = await loadProgress(path, session(1000, 0))()
    console.log(JSON.stringify([first._tag, second.left?.message, back.right?.step, written]))`,
    1024,
  )
  assert.equal(result, [
    'Right',
    `${path}: the disk is full, or this user’s share of it; free some space and start again`,
    1,
    1,
  ])
  assert.equal(readdirSync(at).sort(), ['training.before.safetensors', 'training.safetensors'])
})

test('a manifest, a report or an image that finds no room is an error that says so, and leaves nothing', () => {
  const at = join(root, 'whole')
  mkdirSync(at)
  const [message, tag] = told(
    `
    import { writeWhole } from ${source('src/run/files.ts')}
    const { left } = await writeWhole(${JSON.stringify(join(at, 'report.html'))}, 'x'.repeat(2 ** 21))()
    console.log(JSON.stringify([left.message, left._tag]))`,
    1024,
  ) as [string, string]
  assert.is(tag, 'Io')
  assert.match(message, `${join(at, 'report.html')}: writing: the disk is full`)
  assert.equal(readdirSync(at), [])
})

test('a folder that may not be written is named, with what to do', () => {
  const folder = join(root, 'mine')
  mkdirSync(folder)
  writeFileSync(join(folder, 'manifest.json'), '{}')
  chmodSync(folder, 0o555)
  for (const where of [folder, join(folder, 'below')]) {
    const [tag, message] = told(`
      import { openRun } from ${source('src/run/run-folder.ts')}
      import { syntheticManifest } from ${source('test/support/synthetic-run.ts')}
      // the superuser may write everywhere
      if (process.getuid?.() === 0) process.setuid(65534)
      const { left } = await openRun(${JSON.stringify(where)}, syntheticManifest())()
      console.log(JSON.stringify([left?._tag, left?.message]))`) as [string, string]
    assert.is(tag, 'Io')
    assert.ok(message.startsWith(where), message)
    assert.match(message, 'this user may not; choose another folder or change its permissions')
  }
})

test('a file where a folder or a file should be written is named, with what to do', async () => {
  const file = join(root, 'a-file')
  writeFileSync(file, '')
  for (const where of [file, join(file, 'below'), join(file, 'below', 'that')]) {
    const opened = await openRun(where, syntheticManifest())()
    assert.ok(isLeft(opened))
    assert.match(opened.left.message, 'making the run folder: a file is there, or on the way to it')
    const written = await writeWhole(join(where, 'report.html'), '')()
    assert.ok(isLeft(written))
    assert.match(written.left.message, 'a file is there, or on the way to it')
  }
  const folder = await writeWhole(root, '')()
  assert.ok(isLeft(folder))
  assert.match(folder.left.message, 'it is a folder; name a file')
})

test.run()
