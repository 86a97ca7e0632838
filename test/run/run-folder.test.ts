import { spawn, spawnSync } from 'node:child_process'
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { concat, firstValueFrom, from, of, Subject, throwError, toArray } from 'rxjs'
import sharp from 'sharp'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { RunEvent } from '../../src/run/events.ts'
import {
  decodeLine,
  encodeLine,
  type FileError,
  openLines,
  readLines,
  repairLines,
  writeWhole,
} from '../../src/run/files.ts'
import type { Manifest } from '../../src/run/manifest.ts'
import { readRun } from '../../src/run/read-run.ts'
import { recordEvents } from '../../src/run/record-events.ts'
import { openRun, type RunFolder } from '../../src/run/run-folder.ts'
import { defaultRunFolder, ownFileName } from '../../src/run/run-paths.ts'
import { writeImage } from '../../src/run/write-image.ts'
import { loader, moduleAt } from '../support/program.ts'
import { syntheticEvents, syntheticManifest } from '../support/synthetic-run.ts'
import { until } from '../support/until.ts'

const test = suite('run folder')
let root = ''
test.before(() => {
  root = mkdtempSync(join(tmpdir(), 'sailwright-run-'))
})
test.after(() => rmSync(root, { recursive: true, force: true }))

let count = 0
const fresh = (): string => join(root, `r${++count}`)
const right = <L, R>(e: E.Either<L, R>): R => {
  if (E.isLeft(e)) throw new Error(JSON.stringify(e.left))
  return e.right
}
const left = <R>(e: E.Either<FileError, R>): FileError => {
  if (E.isRight(e)) throw new Error('should have failed')
  return e.left
}
const manifest = syntheticManifest()
let open: RunFolder[] = []
const opened = async (folder = fresh(), m: Manifest = manifest): Promise<RunFolder> => {
  const run = right(await openRun(folder, m)())
  open.push(run)
  return run
}
test.after.each(() => {
  for (const run of open) run.close()
  open = []
})

test('whole files: the content arrives, folders are made, nothing is left beside it', async () => {
  const folder = fresh()
  const path = join(folder, 'a', 'b.txt')
  right(await writeWhole(path, 'one')())
  right(await writeWhole(path, 'two')())
  assert.is(readFileSync(path, 'utf8'), 'two')
  assert.equal(readdirSync(join(folder, 'a')), ['b.txt'])
})

test('whole files: a path that cannot be written names the file', async () => {
  const folder = fresh()
  right(await writeWhole(folder, 'a file, not a folder')())
  const e = left(await writeWhole(join(folder, 'x.txt'), 'never')())
  assert.is(e._tag, 'Io')
  assert.match(e.message, 'x.txt')
})

test('lines: every JSON value and every number comes back', () => {
  const values = fc.dictionary(
    fc.string().filter((k) => k !== '$number' && k !== '__proto__'),
    fc.oneof(
      fc.double().map((d) => (Object.is(d, -0) ? 0 : d)),
      fc.string(),
      fc.boolean(),
      fc.array(fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1.5)),
    ),
  )
  fc.assert(
    fc.property(values, (value) => {
      const line = encodeLine(value)
      assert.not.ok(line.includes('\n'))
      assert.equal(Object.entries(decodeLine(line) as object), Object.entries(value))
    }),
  )
})

test('lines: cut anywhere, what was whole is read, the rest is reported torn and nothing else', async () => {
  const rows = syntheticEvents().slice(0, 12)
  const path = fresh()
  const bytes = Buffer.from(rows.map((r) => `${encodeLine(r)}\n`).join(''))
  const ends = [...bytes.entries()].filter(([, b]) => b === 10).map(([i]) => i + 1)
  for (let cut = 0; cut <= bytes.length; cut += 37) {
    writeFileSync(path, bytes.subarray(0, cut))
    const whole = ends.filter((e) => e <= cut)
    const read = right(await readLines(path, RunEvent)())
    assert.equal(read.rows, rows.slice(0, whole.length))
    const rest = cut - (whole.at(-1) ?? 0)
    assert.equal(read.torn, rest === 0 ? undefined : { line: whole.length + 1, bytes: rest })
    right(await repairLines(path)())
    assert.is(readFileSync(path).length, whole.at(-1) ?? 0)
  }
})

test('lines: a damaged line in the middle is an error with file, line and key, never skipped', async () => {
  const path = fresh()
  const good = encodeLine({ type: 'run-finished', seconds: 1 })
  writeFileSync(path, `${good}\nnot json\n${good}\n`)
  const notJson = left(await readLines(path, RunEvent)())
  assert.is(notJson._tag, 'BadLine')
  assert.is(notJson.line, 2)
  assert.match(notJson.message, `${path}:2: this is not JSON (not json)`)
  writeFileSync(path, `${good}\n${encodeLine({ type: 'run-finished', seconds: 'long' })}\n`)
  assert.match(
    left(await readLines(path, RunEvent)()).message,
    /:2: key 'seconds' should be number and is "long"/,
  )
  writeFileSync(path, '{"type":"invented"}\n')
  assert.match(
    left(await readLines(path, RunEvent)()).message,
    /:1: the value has the type 'invented', which this version does not know/,
  )
})

test('lines: a long file is read with little memory, line by line', async () => {
  const path = fresh()
  const rows = 150
  const line = Buffer.from(`${encodeLine({ type: 'run-failed', message: 'x'.repeat(2 ** 20) })}\n`)
  const file = openSync(path, 'w')
  for (let i = 0; i < rows; i++) writeSync(file, line)
  writeSync(file, '{"type":"run-fa')
  closeSync(file)
  const program = `
    import * as t from 'io-ts'
    import { foldLines, repairLines } from ${JSON.stringify(moduleAt('src/run/files.ts'))}
    const path = ${JSON.stringify(path)}
    const codec = t.type({ message: t.string })
    const one = await foldLines(path, codec, 0, (n, row) => n + row.message.length)()
    const cut = await repairLines(path)()
    const again = await foldLines(path, codec, 0, (n, row) => n + row.message.length)()
    console.log(JSON.stringify([one.right, cut.right, again.right]))`
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--max-old-space-size=48', ...loader, '--input-type=module', '-e', program],
    { encoding: 'utf8' },
  )
  assert.is(status, 0, stderr)
  const torn = { line: rows + 1, bytes: 15 }
  assert.equal(JSON.parse(stdout), [{ state: rows * 2 ** 20, torn }, torn, { state: rows * 2 ** 20 }])
})

test('lines: on a full disk appending fails, says so, and leaves no half line', async () => {
  const path = fresh()
  // the shell's limit on a file's size, in blocks of 512 or 1024 bytes, stands for the disk's end
  const program = `
    import { openLines } from ${JSON.stringify(moduleAt('src/run/files.ts'))}
    const lines = openLines(${JSON.stringify(path)})().right
    let failed
    let n = 0
    for (; failed === undefined && n < 100; n++) {
      const appended = lines.append({ message: 'x'.repeat(700) })()
      if (appended._tag === 'Left') failed = appended.left
    }
    const short = lines.append(0)()
    console.log(JSON.stringify({ n, tag: failed._tag, message: failed.message, short: short._tag }))`
  const { status, stdout, stderr } = spawnSync(
    'bash',
    [
      '-c',
      `ulimit -f 32; exec "$0" ${loader.join(' ')} --input-type=module -e "$1"`,
      process.execPath,
      program,
    ],
    { encoding: 'utf8' },
  )
  assert.is(status, 0, stderr)
  const { n, tag, message } = JSON.parse(stdout)
  assert.is(tag, 'Io')
  assert.match(message, `${path}: appending: the disk is full`)
  const { rows, torn } = right(await readLines(path, t.union([t.type({ message: t.string }), t.number]))())
  assert.is(torn, undefined)
  assert.equal(
    rows.slice(0, n - 1).map((r) => (typeof r === 'number' ? r : r.message.length)),
    Array(n - 1).fill(700),
  )
})

test('lines: after closing, appending fails instead of writing elsewhere', () => {
  const lines = right(openLines(fresh())())
  right(lines.append({ a: 1 })())
  right(lines.close())
  right(lines.close())
  assert.match(left(lines.append({ a: 2 })()).message, 'closed')
})

test('events come back as they were recorded, NaN too', async () => {
  const run = await opened()
  const events = syntheticEvents()
  for (const e of events) right(run.record(e)())
  const strange = { ...events.find((e) => e.type === 'step')!, loss: Number.NaN } as RunEvent
  right(run.record(strange)())
  assert.equal(right(await run.events()()), [...events, strange])
  right(run.close())
  const back = right(await readRun(run.folder)())
  assert.equal(back.manifest, manifest)
  assert.is(back.events.length, events.length + 1)
})

test('the same run opens its folder again and goes on after the torn line', async () => {
  const first = await opened()
  right(first.record({ type: 'run-finished', seconds: 1 })())
  right(first.close())
  appendFileSync(join(first.folder, 'events.jsonl'), '{"type":"run-fin')
  const again = await opened(first.folder, { ...manifest, startedAt: 'later' })
  assert.ok(again.continued)
  assert.equal(again.torn, { line: 2, bytes: 16 })
  assert.is(again.manifest.startedAt, manifest.startedAt)
  right(again.record({ type: 'run-finished', seconds: 2 })())
  assert.equal(right(await again.events()()), [
    { type: 'run-finished', seconds: 1 },
    { type: 'run-finished', seconds: 2 },
  ])
})

test("another run's folder is refused, and the message says what differs", async () => {
  const run = await opened()
  right(run.close())
  const e = left(await openRun(run.folder, { ...manifest, seed: 77, recipe: { other: true } })())
  assert.is(e._tag, 'OtherRun')
  assert.match(e.message, `seed: ${manifest.seed} then, 77 now`)
  assert.match(e.message, 'other: nothing then, true now')
  assert.match(e.message, '--out')
  assert.equal(readdirSync(run.folder).sort(), ['events.jsonl', 'manifest.json'])
  right((await opened(run.folder)).close())
})

test('a run that is open is refused to a second writer and not to readers; closed, it is free again', async () => {
  const run = await opened()
  right(run.record({ type: 'run-finished', seconds: 1 })())
  const e = left(await openRun(run.folder, manifest)())
  assert.is(e._tag, 'Locked')
  assert.match(e.message, `${join(run.folder, 'lock.json')}: this process`)
  assert.is(right(await readRun(run.folder)()).events.length, 1)
  right(run.record({ type: 'run-finished', seconds: 2 })())
  right(run.close())
  right(run.close())
  assert.not.ok(existsSync(join(run.folder, 'lock.json')))
  assert.is(right(await (await opened(run.folder)).events()()).length, 2)
})

test('a folder that is moved, removed or replaced while a run writes there takes no more events, and none is made anew', async () => {
  const manifest = syntheticManifest()
  const message = /was moved, removed or replaced while the run wrote there; .*--out/
  const say = (run: RunFolder, message: string) => run.record({ type: 'warned', message })()
  for (const change of ['moved', 'removed', 'replaced'] as const) {
    const folder = fresh()
    const run = right(await openRun(folder, manifest)())
    right(say(run, 'before'))
    // a lock that somebody took away is no folder that went away
    rmSync(join(folder, 'lock.json'))
    right(say(run, 'between'))
    if (change === 'removed') rmSync(folder, { recursive: true })
    else renameSync(folder, `${folder}-moved`)
    const other = change === 'replaced' ? right(await openRun(folder, manifest)()) : undefined
    const refused = left(say(run, 'after'))
    assert.match(refused.message, message, change)
    assert.ok(refused.message.startsWith(folder))
    run.close()
    if (other === undefined) assert.not(existsSync(folder))
    else {
      right(say(other, 'its own'))
      assert.equal(right(await other.events()()), [{ type: 'warned', message: 'its own' }])
      other.close()
    }
    if (change === 'removed') continue
    // what was recorded is whole in its new place, and the run goes on there
    const again = right(await openRun(`${folder}-moved`, manifest)())
    assert.equal(
      right(await again.events()()).map((e) => 'message' in e && e.message),
      ['before', 'between'],
    )
    right(say(again, 'after'))
    again.close()
  }
})

test('a process that was killed before it had written the manifest leaves a folder that the run begins in', async () => {
  const folder = fresh()
  const lock = { pid: 999_999_999, host: hostname(), since: '2026-01-02T03:04:05.678Z' }
  right(await writeWhole(join(folder, 'lock.json'), JSON.stringify(lock))())
  right(await writeWhole(join(folder, 'manifest.json.7.0123456789ab.tmp'), '{')())
  const run = await opened(folder)
  assert.not.ok(run.continued)
  assert.equal(right(await readRun(folder)()).manifest, manifest)
})

test('a folder with other things in it is refused and left alone', async () => {
  const folder = fresh()
  right(await writeWhole(join(folder, 'thesis.txt'), 'mine')())
  const e = left(await openRun(folder, manifest)())
  assert.is(e._tag, 'OtherRun')
  assert.match(e.message, 'thesis.txt')
  assert.equal(readdirSync(folder), ['thesis.txt'])
})

test('a manifest that is empty or damaged is told with what to do', async () => {
  for (const [text, says] of [
    ['', /manifest\.json: it is empty; put the file back, or begin a new run in another folder \(--out\)$/],
    ['{"for', /manifest\.json: this is not JSON \(.*\); put the file back/],
  ] as const) {
    const run = await opened()
    right(run.close())
    writeFileSync(join(run.folder, 'manifest.json'), text)
    for (const e of [left(await openRun(run.folder, manifest)()), left(await readRun(run.folder)())])
      assert.match(e.message, says)
  }
})

test('reading what is no run says so', async () => {
  const e = left(await readRun(fresh())())
  assert.is(e._tag, 'Missing')
  assert.match(e.message, 'not a run folder')
})

test('recordEvents writes before it passes on, in order, also what came before an error', async () => {
  const run = await opened()
  const events = syntheticEvents().slice(0, 20)
  const onDisk: number[] = []
  await new Promise<void>((done) =>
    concat(
      from(events),
      throwError(() => 'stop'),
    )
      .pipe(recordEvents(run))
      .subscribe({
        next: () =>
          onDisk.push(readFileSync(join(run.folder, 'events.jsonl'), 'utf8').split('\n').length - 1),
        error: () => done(),
      }),
  )
  assert.equal(
    onDisk,
    events.map((_, i) => i + 1),
  )
})

test('recordEvents: after unsubscribing, what came through is in the file and nothing more', async () => {
  const run = await opened()
  const source = new Subject<RunEvent>()
  const subscription = source.pipe(recordEvents(run)).subscribe()
  source.next({ type: 'run-finished', seconds: 1 })
  subscription.unsubscribe()
  source.next({ type: 'run-finished', seconds: 2 })
  assert.equal(right(await run.events()()), [{ type: 'run-finished', seconds: 1 }])
})

test('recordEvents: what is no event is refused and not written, so that the folder stays readable', async () => {
  const run = await opened()
  for (const [said, why] of [
    [{ type: 'nonsense' }, /no event: 'nonsense': .*does not know/],
    [{ type: 'evaluated', family: 'f' }, /'evaluated': key 'stage' should be string and is missing/],
    [1, /no event: it: /],
    [undefined, /no event: it: /],
  ] as const) {
    const failure = await firstValueFrom(
      of<RunEvent>(said as never).pipe(recordEvents(run), toArray()),
    ).catch((e) => e)
    assert.match((failure as Error).message, why)
  }
  assert.equal(right(await run.events()()), [])
})

test('recordEvents: a write that fails is an error of the stream', async () => {
  const run = await opened()
  right(run.close())
  const failure = await firstValueFrom(
    of<RunEvent>({ type: 'run-finished', seconds: 1 }).pipe(recordEvents(run), toArray()),
  ).catch((e) => e)
  assert.is((failure as FileError)._tag, 'Io')
})

test('a process that is killed while it records leaves whole events and at most one torn line', async () => {
  const folder = fresh()
  const program = `
    import { openRun } from ${JSON.stringify(moduleAt('src/run/run-folder.ts'))}
    import { syntheticManifest } from ${JSON.stringify(moduleAt('test/support/synthetic-run.ts'))}
    const run = (await openRun(${JSON.stringify(folder)}, syntheticManifest())()).right
    for (let i = 0; ; i++) {
      run.record({ type: 'run-failed', message: i + ' ' + 'x'.repeat(20000) })()
      if (i % 16 === 0) await new Promise((go) => setImmediate(go))
    }`
  const child = spawn(process.execPath, [...loader, '--input-type=module', '-e', program], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const events = join(folder, 'events.jsonl')
  await until(() => existsSync(events) && statSync(events).size > 50_000)
  child.kill('SIGKILL')
  await new Promise((gone) => child.once('exit', gone))
  assert.ok(existsSync(join(folder, 'lock.json')))
  const run = await opened(folder)
  const whole = right(await run.events()())
  assert.ok(whole.length > 0)
  for (const [i, e] of whole.entries())
    assert.ok(e.type === 'run-failed' && e.message === `${i} ${'x'.repeat(20000)}`, `event ${i}`)
})

test('images are PNG files inside the folder, pixel for pixel', async () => {
  const run = await opened()
  const data = Uint8Array.from({ length: 5 * 3 * 3 }, (_, i) => (i * 37) % 256)
  const path = right(await writeImage(run, 'count 2/7', { width: 5, height: 3, channels: 3, data })())
  assert.match(path, /^images\/count-2-7-[0-9a-f]{16}\.png$/)
  assert.is(
    right(await writeImage(run, 'count-2', { width: 5, height: 3, channels: 3, data })()),
    'images/count-2.png',
  )
  const back = await sharp(join(run.folder, path)).raw().toBuffer({ resolveWithObject: true })
  assert.is(back.info.channels, 3)
  assert.equal(new Uint8Array(back.data), data)
  const wrong = await writeImage(run, 'short', { width: 5, height: 4, channels: 3, data })()
  assert.match(left(wrong).message, '5 × 4 × 3 and has 45 bytes')
  assert.not.ok(existsSync(run.pathOf('images', 'short.png')))
})

test('another name is another image file, also where a system knows no capitals, and a name always the same', () => {
  const text = fc.oneof(
    fc.constantFrom(
      '猫',
      '狗',
      'a/b',
      'a-b',
      'A-B',
      'a b',
      '',
      '-',
      '.',
      '..',
      'con',
      'é',
      'e\u0301',
      '\ud800',
      '\ud801',
    ),
    fc.string({ unit: fc.constantFrom('a', 'A', 'b', '-', '/', '.', '0', '猫'), maxLength: 4 }),
    fc.string({ unit: 'binary', maxLength: 300 }),
    // a name that looks as if it was made from another
    fc.string().map((s) => ownFileName(s)),
  )
  fc.assert(
    fc.property(text, text, (a, b) => {
      const [x, y] = [ownFileName(a), ownFileName(b)]
      assert.is(x.toLowerCase() === y.toLowerCase(), a === b, JSON.stringify([a, b, x, y]))
      assert.match(x, /^[a-z0-9_][a-z0-9._-]*$/)
      assert.ok(x.length <= 97)
    }),
    { numRuns: 3000 },
  )
  for (const [a, b] of [
    ['猫', '狗'],
    ['a/b', 'a-b'],
    ['a', 'A'],
    ['con', 'con-'],
    ['\ud800', '\ud801'],
  ] as const)
    assert.is.not(ownFileName(a), ownFileName(b))
  assert.is(ownFileName('count-2'), 'count-2')
})

test('paths cannot leave the folder', async () => {
  const run = await opened()
  assert.is(run.pathOf('checkpoints', 'sft'), join(run.folder, 'checkpoints', 'sft'))
  assert.is(run.pathOf('..names'), join(run.folder, '..names'))
  for (const parts of [['..'], ['a', '../../b'], ['/etc/passwd']])
    assert.throws(() => run.pathOf(...parts), /leads out of the run folder/)
})

test('default folder names', () => {
  assert.is(
    defaultRunFolder('recipe nano', new Date(2026, 10, 23, 9, 5, 7)),
    'runs/recipe-nano-20261123-090507',
  )
  assert.is(defaultRunFolder('../../..', new Date(2026, 0, 1)), 'runs/run-20260101-000000')
})

test.run()
