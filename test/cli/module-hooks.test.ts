/** Which files the command reads as TypeScript. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { load } from '../../src/cli/module-hooks.ts'

test('the examples of the installed package are read as the user’s own files are, other packages are not', async () => {
  const root = await mkdtemp(join(tmpdir(), 'sailwright-hooks-'))
  try {
    const loaded = async (...path: readonly string[]): Promise<string> => {
      const file = join(root, ...path)
      await mkdir(join(file, '..'), { recursive: true })
      await writeFile(file, 'export const one: number = 1\n')
      return (await load(pathToFileURL(file).href, {}, async () => ({ format: 'left to Node' }))).format
    }
    assert.is(await loaded('my.ts'), 'module')
    assert.is(await loaded('node_modules', 'sailwright', 'examples', 'recipe', 'measures.ts'), 'module')
    assert.is(await loaded('node_modules', 'sailwright', 'src', 'index.ts'), 'left to Node')
    assert.is(await loaded('node_modules', 'other', 'index.ts'), 'left to Node')
  } finally {
    await rm(root, { recursive: true, force: true })
  }
})

test.run()
