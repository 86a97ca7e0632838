/**
 * The AdamW step four elements at a time: a WebAssembly function of some hundred bytes, assembled here.
 *
 * Arrays pass through its small memory in blocks that stay in the processor's cache; nothing of the session lives in it.
 */
import type { AdamWSettings } from '../adamw-updates.ts'
import { type AdamWScalars, adamWStep, sameLength } from './adamw.ts'

/** Elements in a block; four arrays of them lie one after another in the kernel's memory. */
const block = 8192
const stride = block * 4

type Code = readonly number[]

/** Unsigned LEB128. */
const u = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...u(n >>> 7)])
const vector = (items: readonly Code[]): Code => [...u(items.length), ...items.flat()]
const section = (id: number, content: Code): Code => [id, ...u(content.length), ...content]
const name = (s: string): Code => vector([...s].map((c) => [c.charCodeAt(0)]))

const type = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const
const simd = (op: number): Code => [0xfd, ...u(op)]
const get = (i: number): Code => [0x20, ...u(i)]
const set = (i: number): Code => [0x21, ...u(i)]
const tee = (i: number): Code => [0x22, ...u(i)]
const splat = simd(0x13)
const [sqrt, add, sub, mul, div] = [0xe3, 0xe4, 0xe5, 0xe6, 0xe7].map(simd) as [Code, Code, Code, Code, Code]
/** Four elements of the array number `k` at the byte offset in local 0, from the address on the stack. */
const load = (k: number): Code => [...simd(0x00), 4, ...u(k * stride)]
const store = (k: number): Code => [...simd(0x0b), 4, ...u(k * stride)]

/** Parameters of the function after the number of bytes: all float32. */
const scalars = ['factor', 'beta1', 'rest1', 'beta2', 'rest2', 'keep', 'rate', 'scale', 'epsilon'] as const

/** Local variables: 0 is the number of bytes, then the scalars, then the offset, the scalars four times, and g, m, v. */
const at = scalars.length + 1
const wide = Object.fromEntries(scalars.map((s, i) => [s, get(at + 1 + i)])) as Record<
  (typeof scalars)[number],
  Code
>
const [G, M, V] = [0, 1, 2].map((i) => at + 1 + scalars.length + i) as [number, number, number]
const [parameter, first, second, gradient] = [0, 1, 2, 3] as const

const body: Code = [
  ...scalars.flatMap((_, i) => [...get(1 + i), ...splat, ...set(at + 1 + i)]),
  ...[0x03, 0x40], // loop
  ...[...get(at), ...load(gradient), ...wide.factor, ...mul, ...set(G)],
  // m ← β₁m + (1−β₁)g
  ...[...get(at), ...get(at), ...load(first), ...wide.beta1, ...mul],
  ...[...get(G), ...wide.rest1, ...mul, ...add, ...tee(M), ...store(first)],
  // v ← β₂v + (1−β₂)g²
  ...[...get(at), ...get(at), ...load(second), ...wide.beta2, ...mul],
  ...[...get(G), ...get(G), ...mul, ...wide.rest2, ...mul, ...add, ...tee(V), ...store(second)],
  // p ← keep·p − rate·m / (√v·scale + ε)
  ...[...get(at), ...get(at), ...load(parameter), ...wide.keep, ...mul],
  ...[...get(M), ...wide.rate, ...mul, ...get(V), ...sqrt, ...wide.scale, ...mul, ...wide.epsilon, ...add],
  ...[...div, ...sub, ...store(parameter)],
  // the next four; again while the offset is below the number of bytes
  ...[...get(at), 0x41, 16, 0x6a, ...tee(at), ...get(0), 0x49, 0x0d, 0],
  0x0b, // end of loop
  0x0b, // end of function
]

const assembled = (): Uint8Array => {
  const code = [
    ...vector([
      [1, type.i32],
      [scalars.length + 3, type.v128],
    ]),
    ...body,
  ]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector([[0x60, ...vector([[type.i32], ...scalars.map(() => [type.f32])]), 0]])),
    ...section(3, vector([[0]])),
    ...section(5, vector([[0, ...u((4 * stride) / 65536)]])),
    ...section(
      7,
      vector([
        [...name('memory'), 2, 0],
        [...name('step'), 0, 0],
      ]),
    ),
    ...section(10, vector([[...u(code.length), ...code]])),
  ])
}

type Step = typeof adamWStep

/** The part of WebAssembly that is used; it is absent under `--jitless`. */
declare const WebAssembly:
  | {
      readonly validate: (bytes: Uint8Array) => boolean
      readonly Module: new (bytes: Uint8Array) => object
      readonly Instance: new (module: object) => { readonly exports: unknown }
    }
  | undefined

const kernel = (): Step | undefined => {
  if (typeof WebAssembly === 'undefined') return undefined
  const bytes = assembled()
  if (!WebAssembly.validate(bytes)) return undefined
  const { memory, step } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as {
    readonly memory: { readonly buffer: ArrayBuffer }
    readonly step: (bytes: number, ...scalars: number[]) => void
  }
  const [p, m, v, g] = [parameter, first, second, gradient].map(
    (k) => new Float32Array(memory.buffer, k * stride, block),
  ) as [Float32Array, Float32Array, Float32Array, Float32Array]
  return (ps, ms, vs, gs, now: AdamWScalars, { beta1, beta2, epsilon, decay }: AdamWSettings) => {
    sameLength(ps, ms, vs, gs)
    const rate = now.learningRate / now.correction1
    const scale = 1 / Math.sqrt(now.correction2)
    const keep = 1 - now.learningRate * decay
    for (let start = 0; start < ps.length; start += block) {
      const end = Math.min(start + block, ps.length)
      p.set(ps.subarray(start, end))
      m.set(ms.subarray(start, end))
      v.set(vs.subarray(start, end))
      g.set(gs.subarray(start, end))
      const n = end - start

      step(n * 4, now.factor, beta1, 1 - beta1, beta2, 1 - beta2, keep, rate, scale, epsilon)
      ps.set(n === block ? p : p.subarray(0, n), start)
      ms.set(n === block ? m : m.subarray(0, n), start)
      vs.set(n === block ? v : v.subarray(0, n), start)
    }
  }
}

let ready: Step | undefined

/** {@link adamWStep} in float32, four elements at a time; where WebAssembly is switched off, the plain loop. */
export const adamWKernel: Step = (...args) => {
  ready ??= kernel() ?? adamWStep
  ready(...args)
}
