import { type ChildProcess, spawn } from 'node:child_process'
import fs, {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { FileError } from '../../src/run/files.ts'
import { type Lock, LockHolder, lockFile, takeLock } from '../../src/run/run-lock.ts'
import { loader, moduleAt } from '../support/program.ts'
import { until } from '../support/until.ts'

const test = suite('run lock')
let root = ''
test.before(() => {
  root = mkdtempSync(join(tmpdir(), 'sailwright-lock-'))
})
test.after(() => rmSync(root, { recursive: true, force: true }))

let count = 0
const fresh = (): string => {
  const folder = join(root, `r${++count}`)
  mkdirSync(folder)
  return folder
}
const taken = (folder: string): Lock => {
  const lock = takeLock(folder)()
  if (E.isLeft(lock)) throw new Error(lock.left.message)
  return lock.right
}
const refused = (folder: string): FileError => {
  const lock = takeLock(folder)()
  if (E.isRight(lock)) throw new Error('should have been refused')
  return lock.left
}
const written = (folder: string, holder: LockHolder): string => {
  const text = JSON.stringify(holder)
  writeFileSync(join(folder, lockFile), text)
  return text
}
const textIn = (folder: string): string => readFileSync(join(folder, lockFile), 'utf8')
const holderIn = (folder: string): LockHolder => {
  const holder = LockHolder.decode(JSON.parse(textIn(folder)))
  if (E.isLeft(holder)) throw new Error(textIn(folder))
  return holder.right
}

const since = '2026-01-02T03:04:05.678Z'
/** Above every system's largest. */
const noPid = 999_999_999
const tellsBirths = existsSync('/proc/self/stat')

/** A process that runs a program beside `takeLock`, until its first word. */
const beside = async (program: string): Promise<{ child: ChildProcess; gone: Promise<unknown> }> => {
  const module = JSON.stringify(moduleAt('src/run/run-lock.ts'))
  const child = spawn(
    process.execPath,
    [...[...loader, '--input-type=module'], ...['-e', `import { takeLock } from ${module}\n${program}`]],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const gone = new Promise((done) => child.once('exit', done))
  await new Promise((said) => child.stdout.once('data', said))
  return { child, gone }
}

test('a lock says who holds it, keeps a second one out, and goes when it is given back', () => {
  const folder = fresh()
  const lock = taken(folder)
  assert.equal(holderIn(folder), lock.holder)
  assert.is(lock.holder.pid, process.pid)
  assert.is(lock.holder.host, hostname())
  assert.is(new Date(lock.holder.since).toISOString(), lock.holder.since)
  assert.is(lock.holder.born !== undefined, tellsBirths)
  assert.equal(readdirSync(folder), [lockFile])
  const e = refused(folder)
  assert.is(e._tag, 'Locked')
  assert.equal(e.cause, lock.holder)
  assert.match(e.message, `this process (${process.pid}) has had the run open since ${lock.holder.since}`)
  assert.equal(lock.release(), E.right(undefined))
  assert.equal(readdirSync(folder), [])
  const again = taken(folder)
  assert.equal(lock.release(), E.right(undefined), 'a second time is harmless')
  assert.ok(existsSync(join(folder, lockFile)), 'and takes no other lock away')
  again.release()
  assert.equal(readdirSync(folder), [])
  // one of the same process that was taken in the same millisecond
  writeFileSync(join(folder, lockFile), `${JSON.stringify(lock.holder, null, 2)}\n`)
  assert.equal(lock.release(), E.right(undefined))
  assert.ok(existsSync(join(folder, lockFile)))
})

test('giving back what is gone, or what another process has taken, changes nothing', () => {
  const folder = fresh()
  const lock = taken(folder)
  const other = written(folder, { pid: noPid, host: 'elsewhere', since })
  assert.equal(lock.release(), E.right(undefined))
  assert.is(textIn(folder), other)
  const gone = fresh()
  const lost = taken(gone)
  rmSync(gone, { recursive: true })
  assert.equal(lost.release(), E.right(undefined))
  assert.is(refused(gone)._tag, 'Missing')
})

test('a lock of another host is never taken over, and the message says how to remove it', () => {
  const folder = fresh()
  const holder: LockHolder = { pid: noPid, host: 'elsewhere', since }
  const text = written(folder, holder)
  const e = refused(folder)
  assert.is(e._tag, 'Locked')
  assert.equal(e.cause, holder)
  assert.match(e.message, `process ${noPid} on host elsewhere has held this run since ${since}`)
  assert.match(e.message, 'remove this file')
  assert.is(e.file, join(folder, lockFile))
  assert.is(textIn(folder), text)
})

test('a lock whose process is gone is taken over; a process of the same number that began later is another', () => {
  const folder = fresh()
  written(folder, { pid: noPid, host: hostname(), since })
  const lock = taken(folder)
  assert.equal(holderIn(folder), lock.holder)
  assert.equal(readdirSync(folder), [lockFile])
  lock.release()

  const alive = { pid: process.ppid, host: hostname(), since }
  written(folder, alive)
  const e = refused(folder)
  assert.is(e._tag, 'Locked')
  assert.match(
    e.message,
    `process ${process.ppid} on this host (${hostname()}) has been writing this run since ${since}`,
  )
  assert.match(e.message, `kill -INT ${process.ppid}`)
  if (!tellsBirths) return
  written(folder, { ...alive, born: 'another boot/1' })
  taken(folder).release()
  // restarted containers give the same number again and again
  written(folder, { pid: process.pid, host: hostname(), since, born: 'another boot/1' })
  taken(folder).release()
  assert.equal(readdirSync(folder), [])
})

test('a lock that another process takes over first is its own', () => {
  const folder = fresh()
  written(folder, { pid: noPid, host: hostname(), since })
  const faster: LockHolder = { pid: process.ppid, host: hostname(), since: 'just now' }
  const { kill } = process
  // asked whether the holder lives, after the lock was read and before it is taken away
  process.kill = (pid, signal) => {
    if (pid !== noPid) return kill.call(process, pid, signal)
    written(folder, faster)
    throw Object.assign(new Error('no such process'), { code: 'ESRCH' })
  }
  try {
    const e = refused(folder)
    assert.is(e._tag, 'Locked')
    assert.equal(e.cause, faster)
  } finally {
    process.kill = kill
  }
  assert.equal(holderIn(folder), faster)
  assert.equal(readdirSync(folder), [lockFile])
})

/** What `act` gives where a system refuses links with this code. */
const withoutLinks = <A>(code: string, act: () => A): A => {
  const { linkSync } = fs
  fs.linkSync = () => {
    throw Object.assign(new Error(code), { code })
  }
  syncBuiltinESMExports()
  try {
    return act()
  } finally {
    fs.linkSync = linkSync
    syncBuiltinESMExports()
  }
}

test('where files cannot be linked a lock is one all the same', () =>
  withoutLinks('EPERM', () => {
    const folder = fresh()
    const lock = taken(folder)
    const text = textIn(folder)
    assert.is(refused(folder)._tag, 'Locked')
    assert.is(textIn(folder), text)
    assert.equal(readdirSync(folder), [lockFile])
    lock.release()
    assert.equal(readdirSync(folder), [])
  }))

test('a lock that always comes and goes between two looks is given up', () => {
  const folder = fresh()
  const e = withoutLinks('EEXIST', () => refused(folder))
  assert.is(e._tag, 'Locked')
  assert.match(e.message, 'other processes take and leave this run')
  assert.equal(readdirSync(folder), [])
})

test('a process that belongs to another user lives', () => {
  const folder = fresh()
  written(folder, { pid: process.ppid, host: hostname(), since })
  const { kill } = process
  process.kill = () => {
    throw Object.assign(new Error('not permitted'), { code: 'EPERM' })
  }
  try {
    assert.is(refused(folder)._tag, 'Locked')
  } finally {
    process.kill = kill
  }
})

test('a process is known by its boot and the moment at which it began, whatever its name', () => {
  if (!tellsBirths) return
  const folder = fresh()
  const { title } = process
  const lock = taken(folder)
  const born = lock.holder.born!
  lock.release()
  try {
    process.title = 'a) b (c'
    const again = taken(folder)
    assert.is(again.holder.born, born)
    again.release()
  } finally {
    process.title = title
  }
  // the same tick after another boot is another process
  written(folder, { pid: process.pid, host: hostname(), since, born: `another${born}` })
  taken(folder).release()
  written(folder, { pid: process.pid, host: hostname(), since, born })
  assert.match(refused(folder).message, 'this process')
})

test('a process that has ended and that nobody has noticed is gone', async () => {
  if (!tellsBirths) return
  const folder = fresh()
  // the shell becomes a program that never asks for its child
  const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const pid = Number(await new Promise((said) => parent.stdout.once('data', said)))
  try {
    await until(() => / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')))
    written(folder, { pid, host: hostname(), since })
    taken(folder).release()
  } finally {
    parent.kill('SIGKILL')
  }
})

test('a lock that was given back is not waited for at the end of the process', () => {
  const before = process.listenerCount('exit')
  const lock = taken(fresh())
  assert.is(process.listenerCount('exit'), before + 1)
  lock.release()
  assert.is(process.listenerCount('exit'), before)
})

test('a lock that cannot be read is an error that says what to do', () => {
  const folder = fresh()
  for (const [text, what] of [
    ['', 'it is empty'],
    ['{', 'this is not JSON'],
    ['{"pid":"1","host":"h","since":"s"}', "key 'pid' should be number"],
  ] as const) {
    writeFileSync(join(folder, lockFile), text)
    const e = refused(folder)
    assert.is(e._tag, 'BadFile')
    assert.match(e.message, what)
    assert.match(e.message, 'if no process writes this run, remove the file')
    assert.is(textIn(folder), text)
  }
})

test('a process that lives is respected, one that was killed is not; one that exits gives its lock back', async () => {
  const folder = fresh()
  const hold = `takeLock(${JSON.stringify(folder)})(); console.log('held')\n`
  const { child, gone } = await beside(`${hold}setInterval(() => {}, 1000)`)
  const e = refused(folder)
  assert.is(e._tag, 'Locked')
  const other = e.cause as LockHolder
  assert.is(other.pid, child.pid)
  child.kill('SIGKILL')
  await gone
  if (tellsBirths) {
    const own = taken(fresh()).holder
    const [began, later] = [own, other].map(({ born }) => Number(born!.split('/')[1]))
    assert.ok(later! > began!, `${later} and ${began}`)
  }
  assert.is(holderIn(folder).pid, child.pid)
  const lock = taken(folder)
  assert.is(holderIn(folder).pid, process.pid)
  lock.release()

  const leaving = await beside(`${hold}setTimeout(() => process.exit(130), 100)`)
  await leaving.gone
  assert.equal(readdirSync(folder), [])
})

test('of processes that take one lock at the same moment, fresh or left behind, one gets it', async () => {
  const rounds = 40
  const folders = Array.from({ length: rounds }, fresh)
  for (const [i, folder] of folders.entries())
    if (i % 2 === 0) written(folder, { pid: noPid, host: hostname(), since })
  const begin = join(root, 'begin')
  // each waits for the same moments, 10 ms apart, keeps what it gets, and lives until all are through
  const program = `
    import { existsSync, readFileSync } from 'node:fs'
    process.setMaxListeners(0)
    console.log('ready')
    while (!existsSync(${JSON.stringify(begin)})) await new Promise((go) => setTimeout(go, 5))
    const at = Number(readFileSync(${JSON.stringify(begin)}, 'utf8'))
    const got = ${JSON.stringify(folders)}.map((folder, i) => {
      while (Date.now() < at + i * 10);
      const lock = takeLock(folder)()
      return lock._tag === 'Right' ? 'got' : lock.left._tag
    })
    console.log(JSON.stringify(got))
    setInterval(() => {}, 1000)`
  const processes = await Promise.all([beside(program), beside(program), beside(program)])
  const told = processes.map(
    ({ child }) =>
      new Promise<readonly string[]>((done) => {
        let text = ''
        child.stdout!.on('data', (d) => {
          text += d
          if (text.endsWith('\n')) done(JSON.parse(text))
        })
      }),
  )
  writeFileSync(`${begin}.tmp`, String(Date.now() + 100))
  renameSync(`${begin}.tmp`, begin)
  const results = await Promise.all(told)
  for (const { child, gone } of processes) {
    child.kill('SIGKILL')
    await gone
  }
  for (const [i, folder] of folders.entries()) {
    const outcome = results.map((r) => r[i]!).sort()
    assert.equal(outcome, ['Locked', 'Locked', 'got'], `round ${i}`)
    assert.equal(readdirSync(folder), [lockFile], `round ${i}`)
    assert.is(holderIn(folder).pid, processes[results.findIndex((r) => r[i] === 'got')]!.child.pid)
  }
})

test.run()
