/**
 * The same step in PyTorch, where a Python has it: eager, and `torch.compile`.
 *
 * @since 0.1.0
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { packageFile } from '../package/index.ts'
import type { Contender } from './participant.ts'

/** The name of PyTorch eager, to which ratios are taken. */
export const pytorchEager = 'pytorch eager'

/** The Python that is asked: the one given, else `$SAILWRIGHT_PYTHON`, else `python3`. */
export const pythonOf = (
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string => given ?? (env.SAILWRIGHT_PYTHON || 'python3')

/** PyTorch in both ways. Compiled kernels go to the case's folder, so that compiling is measured and not a cache. */
export const pytorchContenders = (python: string, folder: string): readonly Contender[] => {
  const script = packageFile('bench', 'pytorch', 'nano.py')
  if (!existsSync(script)) return []
  const of = (name: string, mode: string): Contender => ({
    name,
    own: false,
    command: [python, script],
    after: [mode],
    env: { TORCHINDUCTOR_CACHE_DIR: join(folder, 'inductor') },
  })
  return [of(pytorchEager, 'eager'), of('pytorch compile', 'compile')]
}
