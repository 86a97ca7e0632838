/**
 * Measuring in turns: each contender in a process of its own, one block of steps after the other, A B C A B C …, and while
 * one runs the others wait. Whatever else the machine does then falls on all of them alike.
 *
 * @since 0.1.0
 */
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Observable } from 'rxjs'
import { present } from '../settings/internal.ts'
import { type Agreement, agreement, type FirstSteps } from './agreement.ts'
import { type BenchCase, benchProgram, parametersOfCase, writeCase } from './case.ts'
import { thisMachine } from './machine.ts'
import { type Contender, type Participant, startParticipant } from './participant.ts'
import { pytorchEager } from './pytorch.ts'
import {
  type BenchResult,
  type Block,
  type Finished,
  type Measured,
  type Missing,
  quietRounds,
  summedUp,
} from './result.ts'

/** What is measured, and how long. */
export interface BenchOptions {
  readonly case: BenchCase
  /** Those that are measured, in their order; a PyTorch may need a place for what it compiles. */
  readonly contenders: (folder: string) => readonly Contender[]
  /** Blocks that each has; default 9. */
  readonly rounds?: number
  /** Steps a block; default 10. */
  readonly steps?: number
  /** Seconds for which it goes on where fewer rounds than that were quiet; default 0. */
  readonly patience?: number
  /** Steps beside the first one that are run, compared and not timed; default 4. */
  readonly warmUp?: number
  /** Milliseconds of rest before each block, in which the threads of the one before go to sleep; default 300. */
  readonly rest?: number
}

/** What happens while it is measured. */
export type BenchEvent =
  | { readonly type: 'starting'; readonly name: string }
  | { readonly type: 'prepared'; readonly name: string; readonly version: string; readonly seconds: number }
  | ({ readonly type: 'missing' } & Missing)
  | ({ readonly type: 'compared'; readonly reference: string } & Agreement)
  | ({
      readonly type: 'block'
      readonly name: string
      readonly round: number
      readonly rounds: number
    } & Block)
  | { readonly type: 'finished'; readonly result: BenchResult }

interface Running {
  readonly contender: Contender
  readonly participant: Participant
  readonly version: string
  readonly libraryLoaded: number
  readonly firstStep: Measured['firstStep']
  readonly first: FirstSteps
  readonly blocks: Block[]
  readonly idle: { seconds: number; busySeconds: number }
}

/** Processor seconds that all programs together have used since the machine started. */
const busyOfAll = (): number =>
  cpus().reduce((s, { times: t }) => s + t.user + t.nice + t.sys + t.irq, 0) / 1000

const messageOf = (e: unknown): string => (e instanceof Error ? e.message : String(e))

/** Everything that one measurement holds until it ends. */
interface Held {
  readonly participants: Participant[]
  folder: string | undefined
}

/** Those that were lost on the way, by name. */
type Lost = Map<string, Missing>

const lose = (lost: Lost, name: string, status: Missing['status'], why: string): BenchEvent => {
  const missing: Missing = { status, name, why }
  lost.set(name, missing)
  return { type: 'missing', ...missing }
}

const notLost = (running: readonly Running[], lost: Lost): readonly Running[] =>
  running.filter((r) => !lost.has(r.contender.name))

/** Starts each, one after the other, and has it compute its first steps. */
async function* started(
  contenders: readonly Contender[],
  folder: string,
  warmUp: number,
  held: Held,
  lost: Lost,
): AsyncGenerator<BenchEvent, readonly Running[]> {
  const running: Running[] = []
  for (const contender of contenders) {
    const { name } = contender
    yield { type: 'starting', name }
    const participant = startParticipant(contender, folder)
    held.participants.push(participant)
    let status: Missing['status'] = 'absent'
    try {
      const ready = await participant.ready
      status = 'failed'
      const prepared = await participant.ask({ type: 'prepare' }, 'prepared')
      const more = await participant.ask({ type: 'steps', count: warmUp }, 'stepped')
      running.push({
        ...{ contender, participant, version: ready.version, libraryLoaded: ready.seconds },
        firstStep: { seconds: prepared.seconds, parts: prepared.parts },
        first: {
          name,
          losses: [prepared.loss, ...more.losses],
          gradientNorms: [prepared.gradientNorm, ...more.gradientNorms],
        },
        blocks: [],
        idle: { seconds: 0, busySeconds: 0 },
      })
      yield { type: 'prepared', name, version: ready.version, seconds: prepared.seconds }
    } catch (e) {
      participant.kill()
      yield lose(lost, name, status, messageOf(e))
    }
  }
  return running
}

/** Block after block in turns, until there are enough rounds, or quiet ones where there is patience. */
async function* inRounds(
  o: BenchOptions,
  running: readonly Running[],
  lost: Lost,
): AsyncGenerator<BenchEvent> {
  const { rounds = 9, steps = 10, patience = 0, rest = 300 } = o
  const began = performance.now()
  const goesOn = (round: number, left: readonly Running[]): boolean =>
    left.length > 0 &&
    (round <= rounds ||
      (performance.now() - began < patience * 1000 && quietRounds(left.map((r) => r.blocks)).length < rounds))
  for (let round = 1; goesOn(round, notLost(running, lost)); round++)
    for (const r of notLost(running, lost)) {
      const { name } = r.contender
      await pause(rest)
      try {
        const before = busyOfAll()
        const stepped = await r.participant.ask({ type: 'steps', count: steps }, 'stepped')
        const { seconds, busySeconds, idle } = stepped
        const block: Block = {
          samplesPerSecond: (steps * o.case.batch) / seconds,
          processorSeconds: busySeconds / steps,
          others: Math.max(0, busyOfAll() - before - busySeconds) / seconds,
        }
        r.blocks.push(block)
        // the wait before the first round holds the others' preparation too, and is as good a test of sleeping
        r.idle.seconds += idle.seconds
        r.idle.busySeconds += idle.busySeconds
        yield { type: 'block', name, round, rounds, ...block }
      } catch (e) {
        yield lose(lost, name, 'failed', `in round ${round}: ${messageOf(e)}`)
      }
    }
}

/** Ends each that is left, and asks it for its memory. */
async function* ended(
  running: readonly Running[],
  lost: Lost,
): AsyncGenerator<BenchEvent, readonly Finished[]> {
  const finished: Finished[] = []
  for (const r of notLost(running, lost)) {
    try {
      const { peakBytes } = await r.participant.ask({ type: 'end' }, 'ended')
      finished.push({
        ...{ name: r.contender.name, version: r.version, blocks: r.blocks, peakBytes },
        ...{ libraryLoaded: r.libraryLoaded, firstStep: r.firstStep },
        idleLoad: r.idle.busySeconds / r.idle.seconds,
      })
    } catch (e) {
      yield lose(lost, r.contender.name, 'failed', messageOf(e))
    }
  }
  return finished
}

async function* run(o: BenchOptions, held: Held): AsyncGenerator<BenchEvent> {
  const { steps = 10, warmUp = 4 } = o
  const startedAt = new Date().toISOString()
  const before = loadavg()[0]!
  const folder = await mkdtemp(join(tmpdir(), 'sailwright-bench-'))
  held.folder = folder
  await writeCase(folder, o.case)
  const contenders = o.contenders(folder)
  const lost: Lost = new Map()

  const running = yield* started(contenders, folder, warmUp, held, lost)
  const reference = running.find((r) => r.contender.own)?.first
  const agreements: readonly Agreement[] =
    reference === undefined
      ? []
      : running.filter(({ first }) => first !== reference).map(({ first }) => agreement(reference, first))
  for (const compared of agreements) yield { type: 'compared', reference: reference!.name, ...compared }
  yield* inRounds(o, running, lost)
  const { measured, ...counts } = summedUp(
    yield* ended(running, lost),
    pytorchEager,
    (name) => name === reference?.name || agreements.some((a) => a.name === name && a.agrees),
  )
  yield {
    type: 'finished',
    result: {
      ...{ case: o.case, parameters: parametersOfCase(benchProgram(o.case)), steps, startedAt, ...counts },
      machine: thisMachine(),
      load: { before, after: loadavg()[0]! },
      ...present({ reference: reference?.name }),
      agreements,
      contenders: contenders.flatMap(
        ({ name }) => measured.find((m) => m.name === name) ?? lost.get(name) ?? [],
      ),
    },
  }
}

/**
 * Measures when subscribed to and ends with `finished`. Unsubscribing ends every process. A contender that is absent or
 * fails is told by an event and in the result, and the others go on.
 *
 * @category measuring
 */
export const measureInTurns = (options: BenchOptions): Observable<BenchEvent> =>
  new Observable((subscriber) => {
    const held: Held = { participants: [], folder: undefined }
    // at once: a program that was interrupted ends right after
    const stop = (): void => {
      for (const p of held.participants) p.kill()
      if (held.folder !== undefined) rmSync(held.folder, { recursive: true, force: true })
    }
    const follow = async (): Promise<void> => {
      try {
        for await (const event of run(options, held)) {
          if (subscriber.closed) return
          subscriber.next(event)
        }
        subscriber.complete()
      } catch (e) {
        subscriber.error(e)
      } finally {
        stop()
      }
    }
    void follow()
    return stop
  })
