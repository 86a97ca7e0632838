/** Where Sailwright keeps the TensorFlow engine that it built itself. */
import { join } from 'node:path'
import { sideFolder } from '../home.ts'

/** The version of `@tensorflow/tfjs-node` whose binding is compiled. */
export const tfjsVersion = '4.22.0'

/** The places inside the side folder. */
export interface EngineHome {
  /** The side folder itself; it has its own `package.json`. */
  readonly root: string
  /** The npm package, with its sources in `binding/`. */
  readonly tfjs: string
  /** The compiled binding. */
  readonly binding: string
  /** A small addon that keeps TensorFlow's library quiet while it is loaded, and has the switch of TF32. */
  readonly mute: string
  /** Where a wheel or tarball is unpacked; a folder given by the user is used where it is. */
  readonly library: string
  /** What was installed, and from what. */
  readonly record: string
}

/**
 * The side folder: `$SAILWRIGHT_HOME/tensorflow`, or `~/.local/share/sailwright/tensorflow`
 * (`$XDG_DATA_HOME/sailwright/tensorflow` where that is set).
 */
export const engineHome = (env: Readonly<Record<string, string | undefined>> = process.env): EngineHome => {
  const root = sideFolder('tensorflow', env)
  const tfjs = join(root, 'node_modules', '@tensorflow', 'tfjs-node')
  return {
    root,
    tfjs,
    binding: join(tfjs, 'lib', 'napi-v8', 'tfjs_binding.node'),
    mute: join(tfjs, 'lib', 'napi-v8', 'mute.node'),
    library: join(root, 'library'),
    record: join(root, 'installed.json'),
  }
}
