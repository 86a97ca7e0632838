/** What is shown with a user's words: images as images, folders, animations and video files as videos. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { userTurn } from '../../src/cli/talk.ts'

const test = suite('cli: pictures of a turn')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-turn-'))
test.after(() => rmSync(folder, { recursive: true }))

test('each picture in its order, by what it is', async () => {
  const still = (red: number) =>
    sharp({ create: { width: 4, height: 4, channels: 3, background: { r: red, g: 0, b: 0 } } }).png()
  const frames = [await still(0).toBuffer(), await still(250).toBuffer()]
  await still(9).toFile(join(folder, 'a.png'))
  await sharp(frames, { join: { animated: true } })
    .gif()
    .toFile(join(folder, 'b.gif'))
  mkdirSync(join(folder, 'frames'))
  writeFileSync(join(folder, 'c.mp4'), Buffer.from('\0\0\0\x18ftypmp42', 'latin1'))
  const { role, parts } = await userTurn('what?', ['a.png', 'b.gif', 'frames', 'c.mp4', 'none.png'], folder)
  assert.is(role, 'user')
  assert.equal(parts, [
    { type: 'image', image: { path: join(folder, 'a.png') } },
    { type: 'text', text: '\n' },
    ...['b.gif', 'frames', 'c.mp4'].map((name) => ({ type: 'video', video: { path: join(folder, name) } })),
    { type: 'image', image: { path: join(folder, 'none.png') } },
    { type: 'text', text: '\n' },
    { type: 'text', text: 'what?' },
  ])
})

test.run()
