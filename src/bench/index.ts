/**
 * Measuring a training step on every engine, and in PyTorch where it is there, in turns.
 *
 * @since 0.1.0
 */
import { availableParallelism } from 'node:os'
import type { Observable } from 'rxjs'
import type { EngineName, Precision } from '../engine/index.ts'
import { present } from '../settings/internal.ts'
import { nanoStep } from './case.ts'
import { engineContender } from './participant.ts'
import { pythonOf, pytorchContenders } from './pytorch.ts'
import { type BenchEvent, measureInTurns } from './turns.ts'

export { type Agreement, gradientTolerance, lossTolerance } from './agreement.ts'
export { type BenchCase, nanoStep } from './case.ts'
export type { BenchResult, Block, Measured, Missing, Spread } from './result.ts'
export { allAgree, markdownBench, remarksOf, showBench } from './show.ts'
export { markdownVisualPacking, showVisualPacking } from './show-visual-packing.ts'
export { type BenchEvent, type BenchOptions, measureInTurns } from './turns.ts'
export * from './visual-packing.ts'

/** What `sailwright bench` may be told. */
export interface NanoBenchOptions {
  /** The engines, in their order; default tensorflow, onnx. */
  readonly engines?: readonly EngineName[]
  /** What the engines compute in; default `float32`. */
  readonly precision?: Precision
  /** `xla` measures tensorflow compiled beside tensorflow as it is; in another precision than float32 compiled alone. */
  readonly compile?: 'xla'
  /** Measures the engines over packed rows as well: samples share rows, and PyTorch has a row a sample all the same. */
  readonly packed?: boolean
  /** The Python that is asked for PyTorch; default `$SAILWRIGHT_PYTHON`, else `python3`; `false` leaves PyTorch out. */
  readonly python?: string | false
  /** Blocks that each has; default 9. */
  readonly rounds?: number
  /** Steps a block; default 10. */
  readonly steps?: number
  /** Seconds for which it goes on where other programs disturbed so many rounds that fewer than that are left; default 0. */
  readonly patience?: number
  /** Default: the number of cores. */
  readonly threads?: number
}

/** The engines that a measurement starts, and whether compiled. As it is, tensorflow computes in float32 alone. */
export const measuredEngines = ({
  engines = ['tensorflow', 'onnx'],
  precision = 'float32',
  compile,
}: Pick<NanoBenchOptions, 'engines' | 'precision' | 'compile'>): readonly (readonly [
  EngineName,
  'xla'?,
])[] => [
  ...engines
    .filter((e) => e !== 'tensorflow' || compile === undefined || precision === 'float32')
    .map((e) => [e] as const),
  ...(compile === undefined ? [] : [['tensorflow', compile] as const]),
]

/**
 * One training step of nano on the engines, in PyTorch eager and in `torch.compile`, in turns.
 *
 * @category measuring
 */
export const benchNano = (o: NanoBenchOptions = {}): Observable<BenchEvent> => {
  const threads = o.threads ?? availableParallelism()
  const { python } = o
  const { precision, rounds, steps, patience } = o
  return measureInTurns({
    case: nanoStep(threads),
    contenders: (folder) => [
      ...[false, ...(o.packed === true ? [true] : [])].flatMap((packed) =>
        measuredEngines(o).map(([name, compile]) =>
          engineContender(name, threads, { ...present({ precision, compile }), packed }),
        ),
      ),
      ...(python === false ? [] : pytorchContenders(pythonOf(python), folder)),
    ],
    ...present({ rounds, steps, patience }),
  })
}

export { benchBatches, benchProgram } from './case.ts'
export { type Machine, thisMachine } from './machine.ts'
export { spread } from './result.ts'
