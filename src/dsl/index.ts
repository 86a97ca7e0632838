/**
 * The language: axes, typed tensors, layers, the graph, its gradient, its passes, its cost.
 *
 * @since 0.1.0
 */
export { type Axis, as, axis, elements, type Names, showAxes, sizes } from './axis.ts'
export { contractChosen } from './chosen.ts'
export { bodyOf, composite, operandsOf } from './composite.ts'
export { contract } from './contract.ts'
export { byRow, type ContractionPlan, contractionPlan, type OperandPlan } from './contraction.ts'
export {
  abs,
  add,
  and,
  cast,
  cos,
  div,
  equal,
  erf,
  exp,
  floor,
  greater,
  greaterEqual,
  less,
  lessEqual,
  log,
  maximum,
  minimum,
  mul,
  neg,
  not,
  or,
  pow,
  rsqrt,
  select,
  sigmoid,
  sin,
  sqrt,
  square,
  stopGradient,
  sub,
  tanh,
} from './elementwise.ts'
export { GraphError, type GraphErrorTag } from './error.ts'
export { evaluate, type Feeds, type Numbers } from './evaluate.ts'
export { fingerprint } from './fingerprint.ts'
export { gradient } from './gradient.ts'
export {
  type BinaryFn,
  behind,
  type CompareFn,
  type CompositeKind,
  type Data,
  type Dtype,
  findAxis,
  isFixed,
  type LayerMark,
  type LogicFn,
  type LoopBody,
  node,
  type Op,
  type OpName,
  rewrite,
  type Scalar,
  type Settings,
  type Tensor,
  topological,
  type UnaryFn,
  withInputs,
} from './graph.ts'
export { type FedIntegers, type IndexCheck, indexCheck } from './index-checks.ts'
export { type IndexUse, isWithin } from './index-uses.ts'
export { gather, scatterAdd } from './indexing.ts'
export {
  centred,
  fill,
  filled,
  type Init,
  normal,
  ones,
  truncatedNormal,
  uniform,
  xavierUniform,
  zeros,
} from './init.ts'
export { type Cost, cost, elementBytes, type GraphCost, type IsParameter } from './inspect/cost.ts'
export type { DiagramOptions } from './inspect/diagram.ts'
export { keptBytes, peakBytes } from './inspect/kept.ts'
export { mermaid } from './inspect/mermaid.ts'
export {
  type Summary,
  type SummaryJson,
  type SummaryOptions,
  type SummaryRow,
  showSummary,
  summary,
  summaryJson,
} from './inspect/summary.ts'
export { svg } from './inspect/svg.ts'
export { anyOf, everyKey, type Keys, keys, matches } from './keys.ts'
export {
  type After,
  andThen,
  applyTo,
  at,
  type Both,
  type EndsIn,
  type Fork,
  fanout,
  identity,
  join,
  type Layer,
  type Lift,
  layer,
  type Meets,
  type Mismatch,
  merged,
  named,
  type Onto,
  parallel,
  repeat,
  residual,
  tied,
} from './layer.ts'
export { gelu, geluTanh, silu } from './layers/activation.ts'
export {
  type AttentionAxes,
  attend,
  causal,
  Key,
  type KeysAndValues,
  type KeyValues,
  notPadding,
  sameBranch,
  sameSegment,
  selfAttention,
} from './layers/attention.ts'
export { embedding, head, type LinearOptions, linear } from './layers/linear.ts'
export { mlp, type SwiGluNames, swiGlu } from './layers/mlp.ts'
export { layerNorm, preNorm, rmsNorm } from './layers/norm.ts'
export { firstHalf, halvesAgree, type Rotations, rotate, rotations } from './layers/rotary.ts'
export {
  learnedPositions,
  type PatchifyAxes,
  type PixelShuffleOrder,
  patchify,
  pixelShuffle,
} from './layers/vision.ts'
export { constant, input, iota, type NamesOf, parameter, scalar, state } from './leaves.ts'
export { bodyRoots, type Carried, type LoopOptions, type LoopStep, loop } from './loop.ts'
export { crossEntropy, Ignored, type MaskedLoss, negativeLogLikelihood } from './loss.ts'
export type { Contracted, Joined, Renamed, Replaced, Without } from './names.ts'
export { countParameters, parametersOf } from './parameters.ts'
export {
  attentionBlocks,
  type BlockSizes,
  clampProgram,
  longSums,
  mergeProjections,
  narrow,
  optimise,
  optimiseProgram,
  overVariant,
} from './passes/index.ts'
export {
  buckets,
  type FunctionSpec,
  fixed,
  forEngine,
  madeFor,
  type Program,
  program,
  type Results,
  type StateSpec,
  type Variant,
} from './program.ts'
export {
  argmax,
  logSoftmax,
  max,
  mean,
  type StandardiseOptions,
  softmax,
  standardise,
  sum,
  total,
} from './reduce.ts'
export { broadcast, concat, merge, pad, rename, reshape, slice, splitAxis, transpose } from './shape.ts'
export { inside, type Site, settledSite, siteOf } from './site.ts'
