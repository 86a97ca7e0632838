/**
 * Programs that must not compile. Each mistake stands under `@ts-expect-error`, followed by parts of the message that the
 * user reads, separated by `·`: the compiler proves here that there is an error, and test/dsl/types.test.ts compiles a copy
 * without these comments and reads the messages.
 */
import { pipe } from 'fp-ts/lib/function.js'
import {
  add,
  andThen,
  argmax,
  at,
  axis,
  concat,
  contract,
  fanout,
  gather,
  gelu,
  head,
  input,
  type Layer,
  layerNorm,
  linear,
  max,
  mean,
  merged,
  mul,
  named,
  parallel,
  patchify,
  pixelShuffle,
  preNorm,
  rename,
  repeat,
  residual,
  rmsNorm,
  selfAttention,
  slice,
  softmax,
  splitAxis,
  sum,
  swiGlu,
  type Tensor,
  transpose,
} from '../../src/dsl/index.ts'

const Batch = axis('batch', 2)
const Token = axis('token', 4)
const Embed = axis('embed', 8)
const Hidden = axis('hidden', 16)
const Vocab = axis('vocab', 32)
const Patch = axis('patch', 4)
const x = input('x', [Batch, Token, Embed])
const attention = selfAttention({ token: Token, embed: Embed, heads: 2 })

// --- wrong composition: the message stands at the `andThen` that joins them, and names both sides ------------------

export const twoLayers = pipe(
  linear(Embed, Hidden),
  // @ts-expect-error After<readonly ["embed"] · Mismatch<readonly ["hidden"], readonly ["embed"]> · the first layer gives these axes · the second layer takes these axes
  andThen(rmsNorm(Embed)),
)

export const inTheMiddle = pipe(
  rmsNorm(Embed),
  andThen(linear(Embed, Hidden)),
  // @ts-expect-error Mismatch<readonly ["hidden"], readonly ["token", "embed"]>
  andThen(attention),
  at('block'),
)

export const wrongOrder = pipe(
  attention,
  // @ts-expect-error Mismatch<readonly ["token", "embed"], readonly ["embed", "token"]>
  andThen(selfAttention({ token: Embed, embed: Token, heads: 2 })),
)

export const headBeforeNorm = pipe(
  head(Embed, Vocab),
  // @ts-expect-error Mismatch<readonly ["vocab"], readonly ["embed"]>
  andThen(layerNorm(Embed)),
)

export const patchesUnembedded = pipe(
  patchify({
    channel: axis('channel', 3),
    height: axis('height', 4),
    width: axis('width', 4),
    patchSize: 2,
    patch: Patch,
    embed: Embed,
  }),
  // @ts-expect-error Mismatch<readonly ["patch", "embed"], readonly ["token", "embed"]>
  andThen(attention),
)

export const composedByHand = andThen(gelu)(
  // @ts-expect-error Tensor<readonly ["batch", "token", "embed"]> · Layer<
  x,
)

// --- combinators that need equal axes --------------------------------------------------------------------------

// @ts-expect-error Layer<readonly ["embed"], readonly ["hidden"]> · Layer<readonly ["embed"], readonly ["embed"]> · "hidden" · "embed"
export const notBack = residual(linear(Embed, Hidden))

// @ts-expect-error readonly ["embed"] · readonly ["hidden"]
export const notItsNorm = preNorm(rmsNorm(Hidden), at('mlp')(swiGlu(Embed, Hidden)))

// @ts-expect-error Layer<readonly ["embed"], readonly ["hidden"]> · "hidden" · "embed"
export const notAgain = repeat(3, linear(Embed, Hidden))

// @ts-expect-error readonly ["hidden"] · readonly ["embed"]
export const notOneInput = fanout(rmsNorm(Embed), rmsNorm(Hidden))

export const sidesOfAFork = pipe(
  fanout(linear(Embed, Hidden), linear(Embed, Vocab)),
  // @ts-expect-error "vocab" · "hidden"
  parallel(gelu, rmsNorm(Hidden)),
)

export const notMerged = pipe(
  fanout(linear(Embed, Hidden), linear(Embed, Vocab)),
  // @ts-expect-error readonly ["hidden"] · readonly ["vocab"]
  merged(mul),
)

// --- a layer on the wrong tensor --------------------------------------------------------------------------------

// @ts-expect-error Tensor<readonly ["batch", "token", "embed"]> · Tensor<readonly ["batch", "token", "hidden"]>
export const wrongAxis = linear(Hidden, Embed).apply(x)

// @ts-expect-error Tensor<readonly ["embed", "token"]> · Tensor<readonly ["token", "embed"]>
export const otherOrder = attention.apply(input('y', [Embed, Token]))

// @ts-expect-error Tensor<readonly ["embed"]> · Tensor<readonly ["token", "embed"]>
export const tooFew = attention.apply(input('y', [Embed]))

// @ts-expect-error Layer<readonly ["embed"], readonly ["hidden"]> · Layer<readonly ["embed"], readonly ["embed"]>
export const promised: Layer<readonly ['embed'], readonly ['embed']> = named('f')(linear(Embed, Hidden))

// @ts-expect-error readonly ["batch", "token", "hidden"] · readonly ["batch", "token", "embed"]
export const result: Tensor<readonly ['batch', 'token', 'embed']> = linear(Embed, Hidden).apply(x)

// @ts-expect-error "hidden" · "embed"
export const outOfFeedForward: Layer<readonly ['embed'], readonly ['hidden']> = swiGlu(Embed, Hidden)

// @ts-expect-error "visual" · "patch"
export const shuffled: Layer<readonly ['patch', 'embed'], readonly ['patch', 'embed']> = pixelShuffle(
  Patch,
  Embed,
  axis('visual', 1),
  axis('folded', 32),
)

// --- names that a tensor does not have --------------------------------------------------------------------------

// @ts-expect-error "tokn" · "batch" | "embed" | "token"
export const misspelt = sum(x, 'tokn')

// @ts-expect-error "hidden" · "batch" | "embed" | "token"
export const ofAnother = max(x, 'batch', 'hidden')

// @ts-expect-error "hidden" · "batch" | "embed" | "token"
export const average = mean(x, 'hidden')

// @ts-expect-error "key" · "batch" | "embed" | "token"
export const weights = softmax(x, 'key')

// @ts-expect-error "vocab" · "batch" | "embed" | "token"
export const choice = argmax(x, 'vocab')

// @ts-expect-error "hidden" · "embed"
export const notInBoth = contract(x, input('w', [Hidden, Embed]), 'hidden')

// @ts-expect-error "token" · "embed"
export const notInTheSecond = contract(x, input('w', [Hidden, Embed]), 'token')

// @ts-expect-error "tokn" · "batch" | "embed" | "token"
export const turned = transpose(x, ['batch', 'tokn', 'embed'])

// @ts-expect-error "hidden" · "batch" | "embed" | "token"
export const renamed = rename(x, 'hidden', 'embed')

// @ts-expect-error "hidden" · "batch" | "embed" | "token"
export const cut = splitAxis(x, 'hidden', [axis('head', 2), axis('headDim', 8)])

// @ts-expect-error "key" · "batch" | "embed" | "token"
export const part = slice(x, 'key', 0, 1)

// @ts-expect-error "key" · "batch" | "embed" | "token"
export const together = concat([x, x], 'key')

// --- a name is not lost on the way ------------------------------------------------------------------------------

// @ts-expect-error readonly ["batch", "embed"] · readonly ["batch", "token"]
export const summed: Tensor<readonly ['batch', 'token']> = sum(x, 'token')

// @ts-expect-error readonly ["batch", "token", "hidden"]
export const product: Tensor<readonly ['batch', 'hidden']> = contract(x, input('w', [Hidden, Embed]), 'embed')

// @ts-expect-error readonly ["batch", "token", "embed", "hidden"]
export const outer: Tensor<readonly ['batch', 'token', 'embed']> = add(x, input('y', [Hidden]))

// @ts-expect-error readonly ["batch", "token", "embed"] · readonly ["batch", "token", "vocab"]
export const rows: Tensor<readonly ['batch', 'token', 'vocab']> = gather(
  input('table', [Vocab, Embed]),
  input('ids', [Batch, Token], 'int32'),
)
