/**
 * What would make Sailwright faster here. Pure.
 *
 * @since 0.1.0
 */
import { type CudaLibrary, type EngineName, speedName, type XlaDescription } from '../engine/index.ts'
import { byteSize, called, significant } from '../terminal/index.ts'
import type { MachineNow } from './machine.ts'
import type { StepMeasure } from './measure.ts'

/** One engine as the doctor found it. */
export interface EngineFound {
  readonly name: EngineName
  readonly loads: boolean
  /** Library and version, where it loads. */
  readonly version?: string
  /** Where it was found. */
  readonly from?: string
  /** Whether it computes on a GPU or another accelerator. */
  readonly gpu?: boolean
  /** Where onnx computes, if not on the CPU. */
  readonly device?: 'webgpu'
  /** The GPU that it computes on there, and its driver. */
  readonly graphics?: string
  /** Whether it is left unmeasured, since what it computes on is a program on the processor. */
  readonly unmeasured?: boolean
  /** How far its losses are from the processor's, relative, where that is too far. */
  readonly differs?: number
  /** Its plugin and devices, where it has such. */
  readonly plugin?: XlaDescription
  /** The libraries of CUDA that a TensorFlow for CUDA opens, where it computes on no GPU. */
  readonly cuda?: readonly CudaLibrary[]
  /** Why it does not load, or could not be measured. */
  readonly problem?: string
  readonly step?: StepMeasure
  readonly product?: { readonly size: number; readonly gflops: number }
}

/**
 * Sentences that say what to do, the most useful first; empty where there is nothing to gain.
 *
 * @param taken as {@link speedName} names it
 */
export const adviceOf = (
  m: MachineNow,
  engines: readonly EngineFound[],
  taken: string | undefined,
): readonly string[] => {
  const tensorflow = engines.find((e) => e.name === 'tensorflow')
  const advice: string[] = []
  if (taken === undefined)
    advice.push(
      "No engine loads: in a clone 'npm ci' fetches the embedded one; on a platform for which none is packed, 'npm install onnxruntime-node' does.",
    )
  if (m.gpus.length > 0 && !engines.some((e) => e.gpu === true && e.device === undefined))
    advice.push(
      `A GPU is here (${m.gpus[0]}) and no engine uses it: ${called()} engine install xla (by pip; some 3 GB)`,
    )
  else if (tensorflow !== undefined && !tensorflow.loads)
    advice.push(
      m.system.startsWith('linux')
        ? `TensorFlow does not load; to have both engines and compare them: ${called()} engine install tensorflow (needs a C++ compiler and pip).`
        : 'TensorFlow does not load; the installer builds it on Linux only, and the onnx engine works here.',
    )
  const closed = tensorflow?.cuda?.filter((l) => l.problem !== undefined) ?? []
  if (closed.length > 0)
    advice.push(
      `TensorFlow is built for CUDA and uses no GPU, because ${closed.map((l) => l.name).join(', ')} ${closed.length === 1 ? 'does' : 'do'} not open: ${called()} engine install tensorflow --from 'tensorflow[and-cuda]' (some 3 GB)`,
    )
  const speed = (e: EngineFound | undefined): number => e?.step?.samplesPerSecond ?? 0
  const used = engines.find((e) => speedName(e) === taken)
  const best = engines
    .filter((e) => e.differs === undefined)
    .reduce((a, b) => (speed(b) > speed(a) ? b : a), used ?? engines[0]!)
  if (used?.step !== undefined && best !== used && speed(best) > 1.1 * speed(used))
    advice.push(
      `In this measurement ${speedName(best)} was ${significant(speed(best) / speed(used))} times as fast as ${taken}: ${called()} run <file.ts> --engine ${best.name}${best.device === undefined ? '' : ` --device ${best.device}`}`,
    )
  if (m.load > m.cores * 1.25)
    advice.push(
      `Other processes are busy (load ${m.load.toFixed(1)} on ${m.cores} cores): what is measured here and what runs now is slower than it could be.`,
    )
  if (m.freeBytes < 1.5e9)
    advice.push(`Only ${byteSize(m.freeBytes)} of memory are available; close something before a run.`)
  return advice
}
