/**
 * The process in which one engine is measured: `engine-process <engine> <case folder>`, requests on stdin, replies on
 * stdout.
 */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import {
  type EngineName,
  type Precision,
  pickEngine,
  type Session,
  scalarValue,
  type TensorValue,
} from '../engine/index.ts'
import { orThrow } from '../train/index.ts'
import { benchBatches, benchProgram, readCase } from './case.ts'
import type { Reply, Request } from './protocol.ts'

const answer = (reply: Reply): void => {
  process.stdout.write(`${JSON.stringify(reply)}\n`)
}

const seconds = (): number => performance.now() / 1000
const busySeconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** The most memory that this process ever held; where the system keeps it a process, of this one alone. */
const peakBytes = (): number => {
  try {
    const found = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))
    if (found !== null) return Number(found[1]) * 1024
  } catch {
    // not Linux
  }
  return process.resourceUsage().maxRSS * 1024
}

const numberOf = (v: TensorValue | undefined): number => Number(v?.data[0] ?? Number.NaN)

const serve = async (name: EngineName, folder: string): Promise<void> => {
  const { engine } = await orThrow(pickEngine(name))
  const given = await readCase(folder)
  const packed = process.env.SAILWRIGHT_BENCH_PACKED === '1'
  const measured = packed ? { ...given.case, packed } : given.case
  const batches = packed ? benchBatches(measured) : given.batches
  const learningRate = scalarValue(measured.learningRate)
  let session: Session | undefined
  let done = 0
  const step = async (s: Session): Promise<{ readonly loss: number; readonly gradientNorm: number }> => {
    const out = await orThrow(
      s.call('step', { ...batches[done++ % batches.length]!, learning_rate: learningRate }),
    )
    return { loss: numberOf(out.loss), gradientNorm: numberOf(out.gradientNorm) }
  }

  answer({ type: 'ready', version: engine.version, seconds: seconds() })
  let idleSince = seconds()
  let busyThen = busySeconds()
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Request
    const at = seconds()
    const idle = { seconds: at - idleSince, busySeconds: busySeconds() - busyThen }
    switch (request.type) {
      case 'prepare': {
        const program = benchProgram(measured)
        const built = seconds()
        const precision = process.env.SAILWRIGHT_BENCH_PRECISION as Precision | undefined
        const compile = process.env.SAILWRIGHT_BENCH_COMPILE === 'xla' ? { compile: 'xla' as const } : {}
        const options = { seed: measured.seed, threads: measured.threads, ...compile }
        session = await orThrow(
          engine.load(program, precision === undefined ? options : { ...options, precision }),
        )
        const loaded = seconds()
        const first = await step(session)
        const end = seconds()
        const parts = { build: built - at, load: loaded - built, firstCall: end - loaded }
        answer({ type: 'prepared', seconds: end - at, parts, ...first })
        break
      }
      case 'steps': {
        if (session === undefined) throw new Error('steps were asked for before anything was prepared')
        const results = []
        const busyBefore = busySeconds()
        for (let i = 0; i < request.count; i++) results.push(await step(session))
        const took = seconds() - at
        const losses = results.map((r) => r.loss)
        const gradientNorms = results.map((r) => r.gradientNorm)
        const busy = busySeconds() - busyBefore
        answer({ type: 'stepped', seconds: took, busySeconds: busy, losses, gradientNorms, idle })
        break
      }
      case 'end':
        answer({ type: 'ended', peakBytes: peakBytes() })
        if (session !== undefined) await orThrow(session.close())
        return
    }
    idleSince = seconds()
    busyThen = busySeconds()
  }
}

const [name, folder] = process.argv.slice(2) as [EngineName, string]
try {
  await serve(name, folder)
} catch (e) {
  answer({ type: 'failed', message: e instanceof Error ? e.message : String(e) })
  process.exitCode = 1
}
