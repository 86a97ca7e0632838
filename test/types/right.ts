/** Types that must come out exactly so, compiled by `npm run typecheck` and by test/dsl/types.test.ts. */
import { pipe } from 'fp-ts/lib/function.js'
import {
  type Axis,
  add,
  andThen,
  at,
  axis,
  contract,
  embedding,
  type Fork,
  fanout,
  gather,
  gelu,
  greater,
  head,
  identity,
  input,
  type Layer,
  linear,
  max,
  mean,
  merged,
  mlp,
  mul,
  named,
  parallel,
  preNorm,
  rename,
  repeat,
  residual,
  rmsNorm,
  type Scalar,
  select,
  selfAttention,
  splitAxis,
  standardise,
  sum,
  swiGlu,
  type Tensor,
  total,
  transpose,
} from '../../src/dsl/index.ts'
import { adapter } from '../../src/models/adapter.ts'
import { nano, qwen3Small } from '../../src/models/presets.ts'
import { qwen3 } from '../../src/models/qwen3.ts'
import { sailVit } from '../../src/models/sail-vit.ts'
import { adapterOf } from '../../src/models/sail-vl2.ts'

/** Whether two types are the same, and not only assignable to one another. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles where `_value` has exactly the type `Want`. */
const is =
  <Want>() =>
  <Got>(_value: Got, ..._proof: Same<Got, Want> extends true ? [] : [got: Got, want: Want]): void => {}

const Batch = axis('batch', 2)
const Token = axis('token', 4)
const Embed = axis('embed', 8)
const Hidden = axis('hidden', 16)
const Vocab = axis('vocab', 32)
const x = input('x', [Batch, Token, Embed])
const ids = input('ids', [Batch, Token], 'int32')

type Block = Layer<readonly ['token', 'embed'], readonly ['token', 'embed']>

/** A block of a vision transformer, as a model file writes it. */
const block = pipe(
  residual(
    pipe(rmsNorm(Embed), andThen(at('attn')(selfAttention({ token: Token, embed: Embed, heads: 2 })))),
  ),
  andThen(residual(pipe(rmsNorm(Embed), andThen(at('mlp')(swiGlu(Embed, Hidden)))))),
  named('block'),
)
is<Block>()(block)
const attention = selfAttention({ token: Token, embed: Embed, heads: 2 })
is<Block>()(preNorm(rmsNorm(Embed), at('attn')(attention)))
is<Layer<readonly ['embed'], readonly ['embed']>>()(preNorm(rmsNorm(Embed), at('mlp')(swiGlu(Embed, Hidden))))
is<Block>()(repeat(3, block))
is<Block>()(repeat(3, () => block))
is<Tensor<readonly ['batch', 'token', 'embed']>>()(block.apply(x))
is<Tensor<readonly ['token', 'embed']>>()(block.apply(input('y', [Token, Embed])))

/** The same over axes whose names are only known to be names: for layers that are written once for all. */
const generic = <E extends string, H extends string>(embed: Axis<E>, hidden: Axis<H>) =>
  pipe(linear(embed, hidden), andThen(gelu), andThen(linear(hidden, embed)))
is<Layer<readonly ['embed'], readonly ['embed']>>()(generic(Embed, Hidden))

is<Axis<'embed'>>()(Embed)
is<Layer<readonly ['embed'], readonly ['hidden']>>()(linear(Embed, Hidden))
is<Layer<readonly ['embed'], readonly ['vocab']>>()(mlp(Embed, Hidden, Vocab))
is<Layer<readonly ['embed'], readonly ['hidden']>>()(pipe(identity, andThen(linear(Embed, Hidden))))
is<Layer<readonly ['embed'], readonly ['hidden']>>()(pipe(linear(Embed, Hidden), andThen(identity)))
is<Layer<readonly ['embed'], readonly ['hidden']>>()(pipe(linear(Embed, Hidden), andThen(gelu)))
is<Layer<readonly [], readonly ['vocab']>>()(pipe(embedding(Vocab, Embed), andThen(head(Embed, Vocab))))

// the narrower side is lifted over the wider one's leading axes, whichever comes first
is<Layer<readonly ['token', 'embed'], readonly ['token', 'hidden']>>()(
  pipe(selfAttention({ token: Token, embed: Embed, heads: 2 }), andThen(linear(Embed, Hidden))),
)
is<Layer<readonly ['token', 'hidden'], readonly ['token', 'embed']>>()(
  pipe(linear(Hidden, Embed), andThen(selfAttention({ token: Token, embed: Embed, heads: 2 }))),
)

is<Layer<readonly ['embed'], readonly ['hidden']>>()(
  pipe(
    fanout(linear(Embed, Hidden), at('up')(linear(Embed, Hidden))),
    parallel(gelu, rmsNorm(Hidden)),
    merged(mul),
  ),
)

is<Layer<readonly ['token', 'embed'], readonly ['token', 'embed']>>()(
  pipe(fanout(identity, selfAttention({ token: Token, embed: Embed, heads: 2 })), merged(add)),
)
is<Fork<readonly ['token', 'embed'], readonly ['token', 'embed'], readonly ['token', 'hidden']>>()(
  fanout(selfAttention({ token: Token, embed: Embed, heads: 2 }), linear(Embed, Hidden)),
)

is<Tensor<readonly ['batch', 'embed']>>()(sum(x, 'token'))
is<Tensor<readonly ['token']>>()(max(x, 'batch', 'embed'))
is<Scalar>()(mean(x, 'batch', 'token', 'embed'))
is<Scalar>()(total(x))
is<Tensor<readonly ['batch', 'token', 'hidden']>>()(contract(x, input('w', [Hidden, Embed]), 'embed'))
is<Tensor<readonly ['batch', 'token', 'key']>>()(
  contract(x, input('k', [Batch, axis('key', 4), Embed]), 'embed'),
)
is<Tensor<readonly ['batch', 'token', 'embed']>>()(add(input('b', [Embed]), x))
is<Tensor<readonly ['embed', 'batch', 'token']>>()(transpose(x, ['embed', 'batch', 'token']))
is<Tensor<readonly ['batch', 'key', 'embed']>>()(rename(x, 'token', 'key'))
is<Tensor<readonly ['batch', 'token', 'head', 'headDim']>>()(
  splitAxis(x, 'embed', [axis('head', 2), axis('headDim', 4)]),
)
is<Tensor<readonly ['batch', 'token', 'embed']>>()(gather(input('table', [Vocab, Embed]), ids))

// whole models
is<Layer<readonly ['channel', 'height', 'width'], readonly ['patch', 'vision']>>()(sailVit(nano.vision))
is<Layer<readonly ['channel', 'height', 'width'], readonly ['visual', 'embed']>>()(
  pipe(sailVit(nano.vision), andThen(adapter(adapterOf(nano)))),
)
is<Layer<readonly ['token'], readonly ['token', 'vocab']>>()(
  qwen3(qwen3Small, { token: Token, positions: ids, mask: ids }),
)

// elementwise results: the wider side's axes, and of three the choices' before the condition's
const [rows, columns] = [input('rows', [Batch]), input('columns', [Token])]
const turned = input('turned', [Token, Batch], 'bool')
is<Tensor<readonly ['batch', 'token']>>()(greater(rows, columns))
is<Tensor<readonly ['batch', 'token']>>()(select(turned, rows, columns))
is<Tensor<readonly ['token', 'batch']>>()(select(turned, rows, 0))
is<Tensor<readonly ['batch', 'token', 'embed']>>()(standardise(x, 'embed'))
