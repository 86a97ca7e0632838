/**
 * Attention as the calls of cuDNN that XLA hands on: `__cudnn$fmhaSoftmax` and its backward keep no scores in memory, only
 * one number a row of them. They take bfloat16 `[batch, token, head, headDim]`; the keys may have fewer heads.
 */
import { elements, evaluate, isFixed, operandsOf, sizes, type Tensor } from '../../dsl/index.ts'
import { notLarger } from '../ordered-mask.ts'
import { quoted, signature, typeOf, type Value } from './builder.ts'
import type { Native } from './composites.ts'
import * as hlo from './hlo.ts'
import { place, type AttendedShape as Shape, type Work } from './value.ts'

/** The sizes of an attention whose operands lie as the calls take them; undefined where they do not. */
const shapeOf = (t: Tensor): Shape | undefined => {
  const [q, k, v, mask] = operandsOf(t) as readonly [Tensor, Tensor, Tensor, Tensor | undefined]
  if (k.axes.length < 3 || k.names.join('\u0001') !== v.names.join('\u0001')) return undefined
  const lead = k.axes.slice(0, -3)
  const [key, head, dim] = k.axes.slice(-3) as [Tensor['axes'][0], Tensor['axes'][0], Tensor['axes'][0]]
  const token = q.axes[lead.length]
  const heads = q.axes.slice(lead.length + 1, -1)
  const fits =
    token !== undefined &&
    lead.every((a, i) => q.names[i] === a.name) &&
    q.names.at(-1) === dim.name &&
    v.axes.at(-1)!.size === dim.size &&
    heads.length >= 1 &&
    heads.length <= 2 &&
    heads[0]!.name === head.name &&
    t.names.join('\u0001') === q.names.join('\u0001') &&
    dim.size % 8 === 0 &&
    dim.size <= 128 &&
    token.size % 64 === 0 &&
    key.size % 64 === 0
  if (!fits) return undefined
  const known = [...lead, token, key].map((a) => a.name)
  if (mask !== undefined && (!mask.names.includes(key.name) || mask.names.some((n) => !known.includes(n))))
    return undefined
  return {
    batch: elements(lead),
    token: token.size,
    key: key.size,
    heads: elements(heads),
    kvHeads: head.size,
    dim: dim.size,
  }
}

/** Whether the elements of a mask, whatever is fed, say that each token sees the keys up to its own place. */
const isTriangle = (mask: Tensor, token: string, key: string): boolean => {
  const [rows, columns] = mask.axes
  if (!isFixed(mask) || mask.axes.length !== 2 || rows!.size !== columns!.size) return false
  const turned = rows!.name === key && columns!.name === token
  const [data] = evaluate([mask]) as [Float64Array]
  const { size } = rows!
  for (let row = 0; row < size; row++)
    for (let column = 0; column < size; column++)
      if ((data[row * size + column] !== 0) !== (turned ? row <= column : column <= row)) return false
  return true
}

const causals = new WeakMap<Tensor, boolean>()

/** Whether a mask is that of tokens which attend to themselves and to those before them, whatever is fed. */
const isCausal = (mask: Tensor, token: string, key: string): boolean => {
  const had = causals.get(mask)
  if (had !== undefined) return had
  const places = mask.axes.length === 2 ? notLarger(mask) : undefined
  const causal =
    places === undefined ? isTriangle(mask, token, key) : places[0] === key && places[1] === token
  causals.set(mask, causal)
  return causal
}

/** Whether a node is an attention that runs as a call. */
const fits = (t: Tensor, w: Work): boolean =>
  w.platform === 'cuda' &&
  w.precision === 'bfloat16' &&
  w.attention === 'auto' &&
  t.op.op === 'composite' &&
  t.op.kind === 'attention' &&
  shapeOf(t) !== undefined

const layout = (rank: number, order?: readonly number[]): string => {
  const dims = order ?? Array.from({ length: rank }, (_, i) => rank - 1 - i)
  return dims.length === 1
    ? 'dense<0> : tensor<1xindex>'
    : `dense<[${dims.join(', ')}]> : tensor<${rank}xindex>`
}

const dots = (lc: number, rc: number, lb: readonly number[], rb: readonly number[]) => ({
  lhs_contracting_dimensions: [String(lc)],
  rhs_contracting_dimensions: [String(rc)],
  lhs_batch_dimensions: lb.map(String),
  rhs_batch_dimensions: rb.map(String),
})

/** What the calls are told, as XLA reads it. */
const configOf = (s: Shape, scale: number, causal: boolean, backward: boolean): string =>
  JSON.stringify({
    operation_queue_id: '0',
    cudnn_fmha_backend_config: {
      algorithm: {
        algo_id: '0',
        math_type: 'TENSOR_OP_MATH',
        tuning_knobs: { '17': '1', '24': '0' },
        is_cudnn_frontend: true,
        workspace_size: '0',
      },
      fmha_scale: scale,
      intermediate_tensor_shape: {
        element_type: 'BF16',
        dimensions: [s.batch, s.heads, s.token, s.key].map(String),
        tuple_shapes: [],
        layout: {
          dim_level_types: [],
          dim_unique: [],
          dim_ordered: [],
          minor_to_major: ['3', '2', '1', '0'],
          tiles: [],
          element_size_in_bits: '0',
          memory_space: '0',
          index_primitive_type: 'PRIMITIVE_TYPE_INVALID',
          pointer_primitive_type: 'PRIMITIVE_TYPE_INVALID',
          dynamic_shape_metadata_prefix_bytes: '0',
        },
        is_dynamic_dimension: [false, false, false, false],
      },
      is_flash_attention: true,
      mask_type: causal ? 'CAUSAL' : 'NO_MASK',
      ...(backward
        ? {
            bmm1_grad_gemm1_dot_dimension_numbers: dots(2, 1, [0, 1], [0, 2]),
            bmm1_grad_gemm2_dot_dimension_numbers: dots(3, 1, [0, 1], [0, 2]),
            bmm2_grad_gemm1_dot_dimension_numbers: dots(2, 1, [0, 1], [0, 2]),
            bmm2_grad_gemm2_dot_dimension_numbers: dots(3, 3, [0, 2], [0, 2]),
          }
        : {
            bmm1_dot_dimension_numbers: dots(3, 3, [0, 2], [0, 2]),
            bmm2_dot_dimension_numbers: dots(3, 1, [0, 1], [0, 2]),
          }),
      dropout_rate: 0,
      seed: 42,
      sliding_window_length: 0,
      max_seg_per_batch: 1,
      is_paged_attention: false,
    },
  })

/** A result of a call, and how it lies. */
interface Result {
  readonly type: Value['type']
  readonly shape: readonly number[]
  readonly order?: readonly number[]
}

const workspace: Result = { type: 'uint8', shape: [0] }

const call = (
  w: Work,
  target: string,
  operands: readonly Value[],
  results: readonly Result[],
  config: string,
): readonly Value[] =>
  w.g.ops(
    `stablehlo.custom_call @${target}(${operands.map((x) => x.name).join(', ')}) {api_version = 2 : i32, backend_config = ${quoted(config)}, operand_layouts = [${operands.map((x) => layout(x.shape.length)).join(', ')}], result_layouts = [${results.map((r) => layout(r.shape.length, r.order)).join(', ')}]} : ${signature(operands, `(${results.map((r) => typeOf(r.type, r.shape)).join(', ')})`)}`,
    results.map(({ type, shape }) => ({ type, shape })),
  )

/** `[batch, head, token, headDim]` that lies as `[batch, token, head, headDim]`. */
const headsFirst = (batch: number, heads: number, tokens: number, dim: number): Result => ({
  type: 'bfloat16',
  shape: [batch, heads, tokens, dim],
  order: [3, 1, 2, 0],
})

const asRows = (w: Work, x: Value): Value => hlo.transpose(w.g, x, [0, 2, 1, 3])

const narrowed = (w: Work, x: Value, shape: readonly number[]): Value =>
  hlo.reshape(w.g, hlo.convert(w.g, x, 'bfloat16'), shape)

/** The mask as a bias, and which tokens see anything at all. */
const biasOf = (w: Work, s: Shape, q: Tensor, k: Tensor, mask: Tensor, m: Value) => {
  const { g } = w
  // lead axes and the token's; then the key's
  const whole = [...q.axes.slice(0, k.axes.length - 2), k.axes.at(-3)!]
  const order = whole.filter((a) => place(mask.axes, a.name) >= 0)
  const turned = hlo.transpose(
    g,
    m,
    order.map((a) => place(mask.axes, a.name)),
  )
  const wide = hlo.broadcast(
    g,
    turned,
    sizes(whole),
    order.map((a) => place(whole, a.name)),
  )
  const allowed = hlo.reshape(g, wide, [s.batch, 1, s.token, s.key])
  const bias = hlo.choose(
    g,
    allowed,
    hlo.filled(g, 'bfloat16', allowed.shape, 0),
    hlo.filled(g, 'bfloat16', allowed.shape, -(2 ** 41)),
  )
  const any = hlo.reduce(g, 'max', hlo.convert(g, allowed, 'int32'), [1, 3])
  const sees = hlo.broadcast(g, hlo.convert(g, any, 'bool'), [s.batch, s.token, s.heads, s.dim], [0, 1])
  return { bias, sees }
}

/** What no token sees becomes 0, as the definition says. */
const whereSeen = (w: Work, sees: Value | undefined, x: Value): Value =>
  sees === undefined ? x : hlo.choose(w.g, sees, x, hlo.filled(w.g, x.type, x.shape, 0))

/** The forward call. */
export const attention: Native = {
  fits: (t, _settings, w) => fits(t, w),
  emit: (w, t, operands) => {
    const s = shapeOf(t)!
    const [tq, tk, , tm] = operandsOf(t) as readonly [Tensor, Tensor, Tensor, Tensor | undefined]
    const { settings } = t.op as Extract<Tensor['op'], { op: 'composite' }>
    const scale = Number(settings.scale)
    const keyName = tk.names.at(-3)!
    const tokenName = tq.names[tk.axes.length - 3]!
    const q = narrowed(w, operands[0]!, [s.batch, s.token, s.heads, s.dim])
    const [k, v] = [operands[1]!, operands[2]!].map((x) =>
      narrowed(w, x, [s.batch, s.key, s.kvHeads, s.dim]),
    ) as [Value, Value]
    const causal = tm !== undefined && isCausal(tm, tokenName, keyName)
    const { bias, sees } =
      tm === undefined || causal
        ? { bias: undefined, sees: undefined }
        : biasOf(w, s, tq, tk, tm, operands[3]!)
    const [made, statistics] = call(
      w,
      bias === undefined ? '__cudnn$fmhaSoftmax' : '__cudnn$fmhaScaleBiasSoftmax',
      [q, k, v, ...(bias === undefined ? [] : [bias])],
      [
        headsFirst(s.batch, s.heads, s.token, s.dim),
        { type: 'float32', shape: [s.batch, s.heads, s.token] },
        workspace,
      ],
      configOf(s, scale, causal, false),
    )
    const out = asRows(w, made!)
    w.attended.set(t, { q, k, v, shape: s, bias, sees, out, statistics: statistics!, causal, scale })
    return hlo.reshape(w.g, whereSeen(w, sees, out), sizes(t.axes))
  },
}

/** The backward call: what flows into queries, keys or values. */
export const attentionGradient: Native = {
  fits: (t, _settings, w) => {
    const forward = operandsOf(t).at(-2)!
    return fits(forward, w)
  },
  emit: (w, t, operands) => {
    const { settings } = t.op as Extract<Tensor['op'], { op: 'composite' }>
    const a = w.attended.get(operandsOf(t).at(-2)!)!
    const s = a.shape
    const flow = whereSeen(w, a.sees, narrowed(w, operands.at(-1)!, [s.batch, s.token, s.heads, s.dim]))
    const results = call(
      w,
      a.bias === undefined ? '__cudnn$fmhaSoftmaxBackward' : '__cudnn$fmhaScaleBiasSoftmaxBackward',
      [a.q, a.k, a.v, a.statistics, flow, ...(a.bias === undefined ? [] : [a.bias]), a.out],
      [
        headsFirst(s.batch, s.heads, s.token, s.dim),
        headsFirst(s.batch, s.kvHeads, s.key, s.dim),
        headsFirst(s.batch, s.kvHeads, s.key, s.dim),
        ...(a.bias === undefined ? [] : [{ type: 'bfloat16', shape: a.bias.shape } as const]),
        workspace,
      ],
      configOf(s, a.scale, a.causal, true),
    )
    const part = results[['q', 'k', 'v'].indexOf(String(settings.part))]!
    return hlo.reshape(w.g, asRows(w, part), sizes(t.axes))
  },
}
