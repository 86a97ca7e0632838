/**
 * Calls of C functions, by koffi's prebuilt addon. Its own npm package has an install script and its platform packages
 * have none: the addon is loaded from the platform package directly.
 */
import { createRequire } from 'node:module'
import { atMost } from '../async/index.ts'

/** A library that is open. */
export type Library = unknown

/** A C function of one pointer that gives a word: every function of PJRT is one. */
export interface Call {
  (argument: number | bigint): number | bigint
  /** On another thread: the event loop turns meanwhile. */
  readonly later: (argument: number | bigint) => Promise<number | bigint>
}

/** A C function of pointers and whole numbers that gives a word. */
export interface Words {
  (...given: readonly (number | bigint)[]): number | bigint
  /** On another thread: the event loop turns meanwhile. */
  readonly later: (...given: readonly (number | bigint)[]) => Promise<number | bigint>
}

/** What is needed of native code. */
export interface Foreign {
  /** Opens a library; `global`: its symbols serve libraries that are opened after it. Throws what the loader says. */
  readonly open: (path: string, global?: boolean) => Library
  /** The address of a symbol. */
  readonly symbol: (library: Library, name: string) => unknown
  /** Where an array's bytes lie; they do not move. */
  readonly address: (view: ArrayBufferView) => bigint
  /** A copy of bytes at an address. */
  readonly bytes: (address: number | bigint, length: number) => Uint8Array<ArrayBuffer>
  /** The function at an address, or a symbol. */
  readonly call: (address: unknown) => Call
  /** The function of so many words at an address, or a symbol. */
  readonly words: (address: unknown, count: number) => Words
}

/** The part of koffi that is used. */
interface Koffi {
  readonly config: (settings?: Readonly<Record<string, number>>) => Readonly<Record<string, number>>
  readonly proto: (text: string) => unknown
  readonly load: (
    path: string,
    options?: { readonly global?: boolean },
  ) => {
    readonly func: (name: string, result: string, args: readonly string[]) => (...args: unknown[]) => unknown
    readonly symbol: (name: string) => unknown
  }
  readonly decode: (
    address: unknown,
    type: unknown,
  ) => ((...given: readonly unknown[]) => number | bigint) & {
    /** The last one is told what came of it. */
    readonly async: (...given: readonly unknown[]) => void
  }
  readonly address: (view: ArrayBufferView) => bigint
}

/** The platform package of this machine. */
const platformPackage = `@koromix/koffi-${process.platform}-${process.arch}`

/** A compiler recurses deeply, and calls run on a stack of their own: 16 MiB. */
const stack = 16 << 20

const addon = (): Koffi => {
  try {
    return createRequire(import.meta.url)(platformPackage)
  } catch (e) {
    if ((e as { code?: string }).code !== 'MODULE_NOT_FOUND') throw e
    throw new Error(
      `npm did not install ${platformPackage}, by which C functions are called: npm install ${platformPackage}@3.3.4 (it is an optional dependency, and there is one for Linux on x64 and arm64 and for macOS on arm64)`,
    )
  }
}

/** Calls on other threads at once: koffi refuses more than 64, and each has its stack. */
const most = 32

/** How many of them run at once, while others wait: Node's pool has four threads where its environment says nothing else. */
export const callsAtOnce = (env: NodeJS.ProcessEnv = process.env): number => {
  const said = Number.parseInt(env.UV_THREADPOOL_SIZE ?? '4', 10)
  return Math.min(most, said > 0 ? said : 1)
}

/** The C library. */
const libc = process.platform === 'darwin' ? 'libSystem.dylib' : 'libc.so.6'

let made: Foreign | undefined

/**
 * Foreign calls on this machine.
 *
 * @throws Error where npm installed no addon for this platform
 */
export const foreign = (): Foreign => {
  if (made !== undefined) return made
  const koffi = addon()
  koffi.config({ ...koffi.config(), sync_stack_size: stack, async_stack_size: stack })
  const prototype = koffi.proto('uint64 sailwright_pjrt_function(uint64)')
  const memmove = koffi.load(libc).func('memmove', 'uint64', ['void *', 'uint64', 'size_t'])
  const ofWords = new Map<number, unknown>()
  const inTurn = atMost(most)
  /** A call on another thread. */
  const later = (
    native: ReturnType<Koffi['decode']>,
    given: readonly (number | bigint)[],
  ): Promise<number | bigint> =>
    inTurn(
      () =>
        new Promise((resolve, reject) => {
          native.async(...given, (error: Error | null, value: number | bigint) => {
            if (error === null) resolve(value)
            else reject(error)
          })
        }),
    )
  made = {
    open: (path, global = false) => koffi.load(path, { global }),
    symbol: (library, name) => (library as ReturnType<Koffi['load']>).symbol(name),
    address: (view) => koffi.address(view),
    bytes: (address, length) => {
      const out = new Uint8Array(new ArrayBuffer(Math.max(8, length)), 0, length)
      memmove(out, address, length)
      return out
    },
    call: (address) => {
      const native = koffi.decode(address, prototype)
      return Object.assign((argument: number | bigint) => native(argument), {
        later: (argument: number | bigint) => later(native, [argument]),
      })
    },
    words: (address, count) => {
      const text = Array.from({ length: count }, () => 'uint64').join(', ')
      const type = ofWords.get(count) ?? koffi.proto(`uint64 sailwright_function_of_${count}(${text})`)
      ofWords.set(count, type)
      const native = koffi.decode(address, type)
      return Object.assign((...given: readonly (number | bigint)[]) => native(...given), {
        later: (...given: readonly (number | bigint)[]) => later(native, given),
      })
    },
  }
  return made
}

/**
 * Sets a variable of the process's environment, where it has none of that name. C libraries read that one; `process.env` of a
 * worker thread is a copy of it.
 *
 * @throws Error where npm installed no addon for this platform
 */
export const setOfProcess = (name: string, value: string): void => {
  const f = foreign()
  const [n, v] = [name, value].map((s) => new TextEncoder().encode(`${s}\0`)) as [Uint8Array, Uint8Array]
  f.words(f.symbol(f.open(libc), 'setenv'), 3)(f.address(n), f.address(v), 0)
}
