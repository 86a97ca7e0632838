/** A Python with modules, for comparisons: tests that need one say that they are skipped where it is missing. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The Python that is asked. */
const python = process.env.SAILWRIGHT_PYTHON || 'python3'

/** Runs a script that prints JSON as its last line; undefined, and said so, where a module cannot be imported. */
export const fromPython = async (
  modules: readonly string[],
  script: string,
  ...words: readonly string[]
): Promise<unknown> => {
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3', CUDA_VISIBLE_DEVICES: '', HF_HUB_OFFLINE: '1' }
  try {
    // looked for and not imported: that takes seconds, and the script imports them
    const lacks = 'import importlib.util as u, sys; sys.exit(not all(u.find_spec(m) for m in sys.argv[1:]))'
    await run(python, ['-c', lacks, ...modules], { env })
  } catch {
    process.stderr.write(`skipped: ${python} has not all of ${modules.join(', ')}\n`)
    return undefined
  }
  const { stdout } = await run(python, ['-c', script, ...words], { env, maxBuffer: 2 ** 28 })
  return JSON.parse(stdout.trim().split('\n').at(-1)!)
}
