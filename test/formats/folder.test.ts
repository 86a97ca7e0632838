/** Folders that are made, and those that cannot be. */
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { makeFolder } from '../../src/formats/index.ts'

const test = suite('formats: folders')
const root = mkdtempSync(join(tmpdir(), 'sailwright-folder-'))
test.after(() => rmSync(root, { recursive: true, force: true }))

const why = async (path: string): Promise<string> =>
  makeFolder(path).then(
    () => 'made',
    (e) => e.code,
  )

test('a folder is made with those above it, once', async () => {
  const path = join(root, 'a', 'b', 'c')
  await Promise.all([makeFolder(path), makeFolder(path), makeFolder(join(root, 'a', 'd'))])
  assert.ok(statSync(path).isDirectory())
  assert.ok(statSync(join(root, 'a', 'd')).isDirectory())
  await makeFolder(path)
})

test('where a file is in the way it is an error', async () => {
  writeFileSync(join(root, 'file'), '')
  assert.is(await why(join(root, 'file')), 'EEXIST')
  assert.is(await why(join(root, 'file', 'in')), 'ENOTDIR')
})

if (existsSync('/proc/self'))
  test('a place where the system makes none is an error, and not waited for', async () => {
    assert.is(await why('/proc/sailwright'), 'ENOENT')
    assert.is(await why('/proc/sailwright/in/it'), 'ENOENT')
  })

test.run()
