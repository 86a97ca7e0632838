import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { axis, contract, fixed, input, loop, program, reshape, type Tensor } from '../../../src/dsl/index.ts'
import { flagsFor, withKnownFlags } from '../../../src/engine/xla/session.ts'

const variant = (y: Tensor) =>
  program({ name: 'p', functions: { f: fixed(() => ({ outputs: { y } })) } }).functions.get('f')![0]!

const product = (size: number) => {
  const [row, inner, column] = [axis('row', size), axis('inner', size), axis('column', size)]
  return variant(contract(input('a', [row, inner]), input('b', [inner, column]), 'inner'))
}

/** So many products one after the other, in a loop. */
const products = (size: number, times: number) => {
  const [row, column] = [axis('row', size), axis('column', size)]
  const weight = input('b', [column, axis('other', size)])
  const step = ({ x }: { readonly x: Tensor }) => ({
    next: { x: reshape(contract(x, weight, 'column'), [row, column]) as Tensor },
  })
  return variant(loop({ times, carried: { x: input('a', [row, column]) as Tensor }, step }).x)
}

const first = { xla_gpu_autotune_level: 0, xla_gpu_enable_triton_gemm: false }

test('a small call takes the first kernels, a large one the best of those that were tried; other devices have no flags', () => {
  assert.equal(flagsFor('cuda', product(1024)), first)
  assert.equal(flagsFor('cuda', product(8192)), {})
  assert.equal(flagsFor('cpu', product(64)), {})
  assert.equal(flagsFor('cpu', products(64, 2)), {})
})

test('a loop is launched by the GPU, and the best kernels of its few products are worth trials sooner', () => {
  const onDevice = (flags: Readonly<Record<string, unknown>>): readonly string[] =>
    String(flags.xla_gpu_enable_command_buffer).split(',')
  // 2 · 2048³ · 10 operations are 1.7e11
  const [many, few] = [flagsFor('cuda', products(2048, 10)), flagsFor('cuda', products(2048, 5))]
  assert.ok(onDevice(many).includes('WHILE') && onDevice(few).includes('WHILE'))
  assert.is(many.xla_gpu_autotune_level, undefined)
  assert.is(few.xla_gpu_autotune_level, 0)
  assert.equal(flagsFor('cuda', product(4096)), first)
})

/** A compiler that knows no flag of these names. */
const knowing =
  (...unknown: readonly string[]) =>
  async (flags: Readonly<Record<string, unknown>>): Promise<readonly string[]> => {
    const odd = Object.keys(flags).find((name) => unknown.includes(name))
    if (odd === 'xla_a') throw new Error("INVALID_ARGUMENT: No such compile option: 'xla_a'")
    if (odd !== undefined)
      throw new Error(`INVALID_ARGUMENT: While setting option ${odd}, 'X' is not a valid enum value.`)
    return Object.keys(flags)
  }

test('own flags that a plugin does not know are left out, those that were given are errors', async () => {
  const own = { xla_a: 1, xla_b: 'X', xla_c: true }
  assert.equal(await withKnownFlags(own, { xla_d: 2 }, knowing('xla_a', 'xla_b')), ['xla_c', 'xla_d'])
  for (const given of [{ xla_a: 2 }, { xla_d: 1 }] as readonly Readonly<Record<string, number>>[]) {
    const failed = await withKnownFlags(own, given, knowing('xla_a', 'xla_d')).catch((e: Error) => e.message)
    assert.match(String(failed), 'xla_a' in given ? /xla_a/ : /xla_d/)
  }
  const broken = await withKnownFlags(own, {}, async () => {
    throw new Error('out of memory')
  }).catch((e: Error) => e.message)
  assert.is(broken, 'out of memory')
})

test.run()
