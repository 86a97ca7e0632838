/** The part of tfjs-node that is used here, typed; the package itself is loaded at run time only. */
import type { Data } from '../../dsl/index.ts'

/** A tensor handle of tfjs. */
export interface TfjsTensor {
  readonly shape: readonly number[]
  readonly dtype: string
  readonly dataSync: () => Data
  readonly dispose: () => void
}

/** One signature of a SavedModel that TensorFlow holds open. */
export interface TfjsSavedModel {
  readonly predict: (inputs: Record<string, TfjsTensor>) => Record<string, TfjsTensor>
  readonly dispose: () => void
}

/** `require('@tensorflow/tfjs-node')`. */
export interface Tfjs {
  readonly version: Readonly<Record<string, string>> & { readonly 'tfjs-node': string }
  readonly env: () => { readonly set: (flag: string, value: boolean) => void }
  readonly backend: () => {
    readonly isUsingGpuDevice: boolean
    readonly binding: { readonly TF_Version: string }
  }
  readonly tensor: (data: Data, shape: readonly number[], dtype: string) => TfjsTensor
  readonly memory: () => { readonly numTensors: number; readonly numBytes: number }
  readonly node: {
    readonly loadSavedModel: (
      path: string,
      tags: readonly string[],
      signature: string,
    ) => Promise<TfjsSavedModel>
  }
}
