/**
 * The lock of a run folder: `lock.json` says which process writes there, so that no two do so at a time.
 *
 * It appears whole or not at all, and only where there is none. A process that was killed leaves its lock behind; the
 * next one on the same host sees that it is gone and takes the lock over. What runs on another host cannot be seen from
 * here: such a lock stays until somebody removes it. A host is known by its name.
 *
 * @since 0.1.0
 */
import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import type { IOEither } from 'fp-ts/lib/IOEither.js'
import * as IOE from 'fp-ts/lib/IOEither.js'
import * as t from 'io-ts'
import { temporaryOf } from '../formats/index.ts'
import { present } from '../settings/internal.ts'
import { decodeAt, type FileError, fileError, systemError } from './files.ts'

/** The file, inside the run folder. */
export const lockFile = 'lock.json'

/** Who holds a lock. */
export const LockHolder = t.intersection([
  t.type({
    pid: t.number,
    host: t.string,
    /** When the lock was taken, ISO 8601. */
    since: t.string,
  }),
  t.partial({
    /** Boot and clock tick at which the process began, where the system tells: another process may get the same pid. */
    born: t.string,
  }),
])
/** Who holds a lock. */
export type LockHolder = t.TypeOf<typeof LockHolder>

/** A lock that this process holds. */
export interface Lock {
  readonly holder: LockHolder
  /**
   * Fails where the folder is no longer the one that was locked: moved, removed, or another process's by now. A lock that
   * somebody took away beside what the folder holds is no such thing.
   *
   * @param file what the folder holds
   */
  readonly stillHolds: (file: string) => IOEither<FileError, void>
  /** Gives the lock back; a second time is harmless. The end of the process does it too, unless it is killed. */
  readonly release: IOEither<FileError, void>
}

/**
 * Takes the lock of a folder that is there.
 *
 * Fails with `Locked` where another process holds it (or this one, which has the run open already) or one on another
 * host left it, its `cause` being the {@link LockHolder}; `BadFile` where the lock cannot be read, `Missing` where there
 * is no such folder, `Io`.
 *
 * @category constructors
 */
export const takeLock = (folder: string): IOEither<FileError, Lock> => {
  const path = join(folder, lockFile)
  return pipe(
    IOE.fromIO(() => thisProcess(new Date())),
    IOE.chain((holder) => {
      const text = `${JSON.stringify(holder, null, 2)}\n`
      return pipe(
        claim(path, text, 20),
        IOE.map(() => held(folder, holder, text)),
      )
    }),
  )
}

const attempt = <A>(path: string, doing: string, act: () => A): IOEither<FileError, A> =>
  IOE.tryCatch(act, systemError(path, doing))

const held = (folder: string, holder: LockHolder, text: string): Lock => {
  const path = join(folder, lockFile)
  let released = false
  const stillHolds = (file: string): IOEither<FileError, void> =>
    pipe(
      attempt(path, 'reading the lock', () => textIn(path) ?? (existsSync(join(folder, file)) ? text : '')),
      IOE.filterOrElse(
        (there) => there === text,
        () =>
          fileError(
            'Missing',
            { file: folder },
            'the run folder was moved, removed or replaced while the run wrote there; put it back where it was, or give the place where it is with --out, and start the run again: it goes on from its last checkpoint',
          ),
      ),
      IOE.map(() => undefined),
    )
  const release = attempt(path, 'unlocking the run', () => {
    if (released) return
    released = true
    process.removeListener('exit', release)
    if (textIn(path) === text) rmSync(path, { force: true })
  })
  process.once('exit', release)
  return { holder, stillHolds, release }
}

/** Makes the lock. One that is there already is taken over or respected; one that has just gone is tried again. */
const claim = (path: string, text: string, attempts: number): IOEither<FileError, void> =>
  pipe(
    attempt(path, 'locking the run', () => created(path, text)),
    IOE.chain((made) => {
      if (made) return IOE.right(undefined)
      if (attempts === 0)
        return IOE.left(
          fileError('Locked', { file: path }, 'other processes take and leave this run; start it again'),
        )
      return pipe(
        foundIn(path),
        IOE.chain((found) => {
          if (found === undefined) return IOE.right(undefined)
          return mayLive(found.holder)
            ? IOE.left(locked(path, found.holder))
            : attempt(path, 'taking over the lock', () => takeAway(path, found.text))
        }),
        IOE.chain(() => claim(path, text, attempts - 1)),
      )
    }),
  )

const locked = (path: string, holder: LockHolder): FileError => {
  const { pid, host, since } = holder
  const what = isThisProcess(holder)
    ? `this process (${pid}) has had the run open since ${since}; close it first`
    : host === hostname()
      ? `process ${pid} on this host (${host}) has been writing this run since ${since}; wait until it ends, stop it with 'kill -INT ${pid}', or choose another folder with --out`
      : `process ${pid} on host ${host} has held this run since ${since}, and whether it still lives cannot be seen from here (${hostname()}); if it does, wait until it ends or choose another folder with --out; if it does not, remove this file and start again`
  return fileError('Locked', { file: path }, what, holder)
}

// --- the file ---------------------------------------------------------------------------------------------

const codeOf = (e: unknown): string | undefined => (e as NodeJS.ErrnoException | null)?.code

/** Makes the file with all of its text; false where there is one. */
const created = (path: string, text: string): boolean => {
  const draft = temporaryOf(path)
  try {
    writeFileSync(draft, text, { flag: 'wx', flush: true })
    return unlessThere(() => {
      try {
        linkSync(draft, path)
      } catch (e) {
        if (codeOf(e) === 'EEXIST') throw e
        // some file systems have no links
        writeFileSync(path, text, { flag: 'wx', flush: true })
      }
    })
  } finally {
    rmSync(draft, { force: true })
  }
}

const unlessThere = (make: () => void): boolean => {
  try {
    make()
    return true
  } catch (e) {
    if (codeOf(e) === 'EEXIST') return false
    throw e
  }
}

const textIn = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch (e) {
    if (codeOf(e) === 'ENOENT') return undefined
    throw e
  }
}

interface Found {
  readonly text: string
  readonly holder: LockHolder
}

/** The lock that is there; undefined where it has gone. */
const foundIn = (path: string): IOEither<FileError, Found | undefined> =>
  pipe(
    attempt(path, 'reading the lock', () => textIn(path)),
    IOE.chainEitherK((text) =>
      text === undefined
        ? E.right(undefined)
        : pipe(
            decodeAt({ file: path }, 'BadFile', text, LockHolder),
            E.bimap(
              (e) => ({
                ...e,
                message: `${e.message}; if no process writes this run, remove the file and start again`,
              }),
              (holder) => ({ text, holder }),
            ),
          ),
    ),
  )

/** Takes away the lock that was read. Another process may have done so and hold its own by now: that one goes back. */
const takeAway = (path: string, text: string): void => {
  const aside = temporaryOf(path)
  try {
    renameSync(path, aside)
  } catch (e) {
    if (codeOf(e) === 'ENOENT') return
    throw e
  }
  if (textIn(aside) === text) rmSync(aside, { force: true })
  else renameSync(aside, path)
}

// --- processes --------------------------------------------------------------------------------------------

const thisProcess = (at: Date): LockHolder => {
  const born = processOf(process.pid)?.born
  return {
    pid: process.pid,
    host: hostname(),
    since: at.toISOString(),
    ...present({ born }),
  }
}

const isThisProcess = ({ pid, host, born }: LockHolder): boolean =>
  pid === process.pid && host === hostname() && born === processOf(pid)?.born

/** False only where it is certain that the holder is gone. */
const mayLive = ({ pid, host, born }: LockHolder): boolean => {
  if (host !== hostname()) return true
  try {
    process.kill(pid, 0)
  } catch (e) {
    // EPERM: another user's
    if (codeOf(e) !== 'EPERM') return false
  }
  const now = processOf(pid)
  return now === undefined || (!now.ended && (born === undefined || born === now.born))
}

/** What Linux tells of a process: when it began, and whether it has ended and only waits to be noticed. */
const processOf = (pid: number): { readonly born: string; readonly ended: boolean } | undefined => {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // after the name, which may hold anything, come field 3, the state, and so on; field 22 is the start
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { born: `${boot}/${fields[19]}`, ended: ['Z', 'X', 'x'].includes(fields[0] ?? '') }
  } catch {
    return undefined
  }
}
