/** Videos as frames: which frames, of what kinds of video, how they stand in rows and chats, and what is refused. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import sharp from 'sharp'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  conversations,
  ImageError,
  isVideo,
  jsonl,
  processor,
  type RgbImage,
  readVideo,
} from '../../src/data/index.ts'
import { evenly, evenlyInTime } from '../../src/data/video.ts'
import { nanoTokenizer } from '../../src/tasks/nano.ts'
import { thrown, tinyModel } from '../support/tiny.ts'

const test = suite('videos')
const folder = mkdtempSync(join(tmpdir(), 'sailwright-videos-'))
test.after(() => rmSync(folder, { recursive: true }))

const side = 16
/** A frame of one shade. */
const still = (shade: number) =>
  sharp({ create: { width: side, height: side, channels: 3, background: { r: shade, g: shade, b: shade } } })
const shadesOf = (frames: readonly RgbImage[]): readonly number[] => frames.map(({ data }) => data[0]!)
/** Far enough apart to be told after any compression. */
const shades = Array.from({ length: 20 }, (_, i) => 12 * i)
const near = (got: readonly number[], wanted: readonly number[]): void => {
  assert.is(got.length, wanted.length)
  got.forEach((shade, i) => {
    assert.ok(Math.abs(shade - wanted[i]!) <= 4, `${got} is not ${wanted}`)
  })
}
const middles = evenly(20, 16).map((i) => shades[i]!)

/** All shades as an animation, each shown for its delay in milliseconds. */
const animated = async (kind: 'gif' | 'webp', delay: readonly number[]): Promise<string> => {
  const frames = await Promise.all(shades.map((s) => still(s).png().toBuffer()))
  const path = join(folder, `${kind}-${delay[0]}.${kind}`)
  const all = sharp(frames, { join: { animated: true } })
  await (kind === 'gif'
    ? all.gif({ delay: [...delay] })
    : all.webp({ lossless: true, delay: [...delay] })
  ).toFile(path)
  return path
}

test('of more frames than are wanted those in the middle of equal stretches, each once, in order', () => {
  assert.equal(evenly(3, 16), [0, 1, 2])
  assert.equal(evenly(8, 4), [1, 3, 5, 7])
  assert.equal(evenlyInTime([100, 100, 100, 100], 2), [1, 3])
  // the long one fills the middle of both halves
  assert.equal(evenlyInTime([10, 1000, 10], 2), [1, 1])
  assert.equal(evenlyInTime([0, 0, 0, 0], 2), [1, 3])
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 40 }), (of, most) => {
      const some = evenly(of, most)
      assert.is(some.length, Math.min(of, most))
      assert.ok(some.every((at, i) => at >= 0 && at < of && (i === 0 || at > some[i - 1]!)))
      // equal durations come to the same, whatever they are
      assert.equal(evenlyInTime(Array<number>(of).fill(40), most), some)
    }),
  )
})

test('a folder of frames, by the numbers in their names', async () => {
  const frames = join(folder, 'frames')
  mkdirSync(frames)
  for (const [i, shade] of shades.entries())
    await still(shade)
      .png()
      .toFile(join(frames, `f${i}.png`))
  writeFileSync(join(frames, 'notes.txt'), 'not a frame')
  assert.equal(shadesOf(await readVideo({ path: frames })), middles)
  assert.equal(
    shadesOf(await readVideo({ path: frames }, 3)),
    evenly(20, 3).map((i) => shades[i]!),
  )
  assert.ok(await isVideo(frames))
})

test('animated GIF and WebP, from a file and from memory, by their time', async () => {
  for (const kind of ['gif', 'webp'] as const) {
    const path = await animated(
      kind,
      shades.map(() => 100),
    )
    near(shadesOf(await readVideo({ path })), middles)
    near(
      shadesOf(await readVideo({ bytes: readFileSync(path), name: kind }, 4)),
      evenly(20, 4).map((i) => shades[i]!),
    )
    assert.ok(await isVideo(path))
    // the first frame lasts as long as all others together
    const slow = await animated(
      kind,
      shades.map((_, i) => (i === 0 ? 1900 : 100)),
    )
    near(shadesOf(await readVideo({ path: slow }, 2)), [shades[0]!, shades[10]!])
  }
  const one = join(folder, 'one.png')
  await still(60).png().toFile(one)
  assert.equal(shadesOf(await readVideo({ path: one })), [60])
  assert.not(await isVideo(one))
})

test('rows: a column of a path, of a list of frames, a part of a message, with marks and without', async () => {
  const p = processor(nanoTokenizer(), { image: { ...tinyModel.image, frames: 3 } })
  assert.is((p.config as { readonly image: { readonly frames: number } }).image.frames, 3)
  await still(0).png().toFile(join(folder, 'a.png'))
  await still(120).png().toFile(join(folder, 'b.png'))
  const gif = (
    await animated(
      'gif',
      shades.map(() => 50),
    )
  ).slice(folder.length + 1)
  const answered = { answer: 'red' }
  const asked = (content: unknown) => ({
    messages: [
      { role: 'user', content },
      { role: 'assistant', content: 'red' },
    ],
  })
  const two = ['a.png', 'b.png']
  const framesOf = (n: number): string => Array.from({ length: n }, (_, i) => `Frame-${i + 1}: *\n`).join('')
  const cases: readonly (readonly [Record<string, unknown>, text: string, images: number])[] = [
    [{ video: gif, question: 'what?', ...answered }, `${framesOf(3)}what?`, 3],
    [{ video: two, question: 'what?', ...answered }, `${framesOf(2)}what?`, 2],
    [
      { videos: [two, gif], question: '<video>and\n<video>what?', ...answered },
      `${framesOf(2)}and\n${framesOf(3)}what?`,
      5,
    ],
    [{ image: 'a.png', video: two, question: '<video>or <image>?', ...answered }, `${framesOf(2)}or *?`, 3],
    [{ image: 'a.png', video: two, question: 'what?', ...answered }, `*\n${framesOf(2)}what?`, 3],
    [
      asked([
        { type: 'video', video: two },
        { type: 'text', text: 'what?' },
      ]),
      `${framesOf(2)}what?`,
      2,
    ],
    [
      asked([
        { type: 'video_url', video_url: { url: gif } },
        { type: 'text', text: 'what?' },
      ]),
      `${framesOf(3)}what?`,
      3,
    ],
    [
      {
        video: two,
        ...asked([{ type: 'text', text: 'see ' }, { type: 'video' }, { type: 'text', text: 'what?' }]),
      },
      `see ${framesOf(2)}what?`,
      2,
    ],
  ]
  const file = join(folder, 'rows.jsonl')
  writeFileSync(file, cases.map(([row]) => `${JSON.stringify(row)}\n`).join(''))
  let n = 0
  for await (const { example } of conversations(jsonl(file), { processor: p }).open()) {
    const [, text, images] = cases[n++]!
    const laid = p.tokenizer
      .decode(example.ids.slice(0, example.promptLength))
      .replaceAll(/<img>(<IMG_CONTEXT>)+<\/img>/g, '*')
    assert.is(laid, `<|im_start|>user\n${text}<|im_end|><|im_start|>assistant\n`)
    assert.is(example.images.length, images)
  }
  assert.is(n, cases.length)
})

test('bad rows say what is wrong with their videos', async () => {
  const p = processor(nanoTokenizer(), { image: tinyModel.image })
  const reasonOf = async (row: Record<string, unknown>): Promise<string> => {
    const file = join(folder, 'bad.jsonl')
    writeFileSync(file, `${JSON.stringify({ answer: 'a', question: 'q', ...row })}\n`)
    return (await thrown(() => conversations(jsonl(file), { processor: p }).open().next())).message
  }
  assert.match(await reasonOf({ video: 'none.mp4' }), /none\.mp4: there is no such file or folder/)
  assert.match(await reasonOf({ question: '<video> q' }), /1 <video> marks and 0 videos/)
  assert.match(await reasonOf({ video: 'http://x/y.mp4' }), /nothing is fetched from the net/)
  assert.match(await reasonOf({ video: { path: null } }), /neither bytes nor a path/)
  assert.match(await reasonOf({ videos: [[]] }), /its videos\[0\] is a list without a frame/)
})

// --- ffmpeg -----------------------------------------------------------------------------------------------

const withPath = async <A>(path: string, act: () => Promise<A>): Promise<A> => {
  const before = process.env.PATH
  process.env.PATH = path
  try {
    return await act()
  } finally {
    process.env.PATH = before
  }
}

test('without ffmpeg a video file is refused, with what to do', async () => {
  const file = join(folder, 'film.mp4')
  writeFileSync(file, Buffer.from('\0\0\0\x18ftypmp42', 'latin1'))
  const empty = mkdtempSync(join(folder, 'empty-'))
  const e = (await withPath(empty, () => thrown(() => readVideo({ path: file })))) as ImageError
  assert.instance(e, ImageError)
  assert.is(e.tag, 'NoFfmpeg')
  assert.match(
    e.message,
    /film\.mp4: .*ffprobe, which is not installed; install ffmpeg .*, or give an animated GIF/,
  )
  assert.ok(await isVideo(file))
})

test('ffprobe is asked for the duration and ffmpeg for the frames at equal times', async () => {
  // two programs of our own that stand for ffmpeg's: ten seconds, at each time the still of that second
  const bin = mkdtempSync(join(folder, 'bin-'))
  for (let s = 0; s < 10; s++)
    await still(shades[s]!)
      .png()
      .toFile(join(bin, `${s}.png`))
  const tool = (name: string, code: string): void => {
    writeFileSync(join(bin, name), `#!${process.execPath}\n${code}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  const probe = { streams: [{ nb_frames: '250', avg_frame_rate: '25/1' }], format: { duration: '10.0' } }
  tool('ffprobe', `process.stdout.write(${JSON.stringify(JSON.stringify(probe))})`)
  tool(
    'ffmpeg',
    `const at = Math.floor(Number(process.argv[process.argv.indexOf('-ss') + 1]) + 0.03);
if (!process.argv.includes('-format_whitelist')) process.exit(1)
process.stdout.write(require('node:fs').readFileSync(${JSON.stringify(bin)} + '/' + at + '.png'))`,
  )
  const file = join(folder, 'film.mp4')
  const bytes = { bytes: readFileSync(file), name: 'film in memory' }
  await withPath(bin, async () => {
    assert.equal(
      shadesOf(await readVideo({ path: file }, 5)),
      [1, 3, 5, 7, 9].map((s) => shades[s]!),
    )
    assert.is((await readVideo(bytes)).length, 16)
    tool('ffprobe', "process.stderr.write('moov atom not found'); process.exit(1)")
    assert.match(
      (await thrown(() => readVideo(bytes))).message,
      /film in memory: ffprobe cannot read it \(moov atom/,
    )
    tool('ffprobe', `process.stdout.write('{"streams":[],"format":{}}')`)
    assert.match((await thrown(() => readVideo(bytes))).message, /it has no video/)
  })
})

const installed =
  spawnSync('ffmpeg', ['-version']).status === 0 && spawnSync('ffprobe', ['-version']).status === 0
if (installed)
  test('a video file by the ffmpeg that is installed', async () => {
    const frames = mkdtempSync(join(folder, 'source-'))
    for (const [i, shade] of shades.entries())
      await still(shade)
        .resize(64, 64)
        .png()
        .toFile(join(frames, `${i}.png`))
    const file = join(folder, 'real.mkv')
    execFileSync('ffmpeg', [
      ...['-v', 'error', '-y', '-framerate', '5', '-i', join(frames, '%d.png')],
      ...['-c:v', 'ffv1', file],
    ])
    near(shadesOf(await readVideo({ path: file })), middles)
    near(shadesOf(await readVideo({ path: file }, 64)), shades)
    // a list of files could name any file of the machine
    const text = `#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n${file}\n#EXT-X-ENDLIST\n`
    for (const list of [text, `ffconcat version 1.0\nfile '${file}'\n`]) {
      const bytes = { bytes: Buffer.from(list), name: 'a list' }
      assert.match((await thrown(() => readVideo(bytes))).message, /a list: ffprobe cannot read it/)
    }
  })
else console.log('videos: ffmpeg is not installed; the test with it is skipped')

test('a damaged animation is no video', async () => {
  const path = join(folder, 'cut.gif')
  copyFileSync(
    await animated(
      'gif',
      shades.map(() => 100),
    ),
    path,
  )
  writeFileSync(path, readFileSync(path).subarray(0, 12))
  const e = (await thrown(() => readVideo({ path }))) as ImageError
  assert.is(e.tag, 'BadImage')
  assert.match(e.message, /cut\.gif: it cannot be read/)
})

test.run()
