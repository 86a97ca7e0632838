/**
 * What a TensorFlow for CUDA needs beside it: seven libraries, without any of which it computes on the processor and hides
 * why, and for XLA inside it `ptxas` and `libdevice`, which come with the wheel of the compiler.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

/** Where pip puts what is installed beside a package: the folder above that of TensorFlow's library. */
const siteOf = (library: string): string => dirname(dirname(library))

const entries = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

const flag = '--xla_gpu_cuda_data_dir'

/**
 * Variables with which XLA inside a TensorFlow finds `ptxas` and `libdevice`: none where no compiler lies beside it. What the
 * environment says already stays.
 *
 * @param library TensorFlow's shared library
 */
export const compilerVariables = (
  library: string,
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> => {
  const nvcc = join(siteOf(library), 'nvidia', 'cuda_nvcc')
  if (!existsSync(nvcc)) return {}
  const { XLA_FLAGS = '', PATH = '' } = env
  const quoted = /\s/.test(nvcc) ? `"${nvcc}"` : nvcc
  const bin = join(nvcc, 'bin')
  return {
    ...(XLA_FLAGS.includes(flag) ? {} : { XLA_FLAGS: `${XLA_FLAGS} ${flag}=${quoted}`.trim() }),
    ...(PATH.split(delimiter).includes(bin)
      ? {}
      : { PATH: [bin, PATH].filter((p) => p !== '').join(delimiter) }),
  }
}

/** Versions in the names of CUDA's libraries, by CUDA's own. */
const versions: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  11: { cudart: '11.0', cublas: '11', cublasLt: '11', cufft: '10', cusolver: '11', cusparse: '11' },
  12: { cudart: '12', cublas: '12', cublasLt: '12', cufft: '11', cusolver: '11', cusparse: '12' },
  13: { cudart: '13', cublas: '13', cublasLt: '13', cufft: '12', cusolver: '12', cusparse: '12' },
}

/** The libraries that a TensorFlow opens, by its own record of its build; none where it is not for CUDA or does not say. */
const sonames = (library: string): readonly string[] => {
  const record = join(dirname(library), 'python', 'platform', 'build_info.py')
  const text = existsSync(record) ? readFileSync(record, 'utf8') : ''
  const said = (key: string): string | undefined => new RegExp(`\\('${key}', '?([^')]+)`).exec(text)?.[1]
  if (said('is_cuda_build') !== 'True') return []
  const cuda = versions[Number.parseInt(said('cuda_version') ?? '', 10)]
  const cudnn = Number.parseInt(said('cudnn_version') ?? '', 10)
  if (cuda === undefined || !(cudnn > 0)) return []
  return [...Object.entries(cuda), ['cudnn', String(cudnn)]].map(([name, v]) => `lib${name}.so.${v}`)
}

/** Why a library does not open; undefined where it does. It is closed again. */
const whyNot = (file: string): string | undefined => {
  try {
    process.dlopen({ exports: {} }, file)
  } catch (e) {
    const why = e instanceof Error ? e.message : String(e)
    // it opened, and is no module of Node's
    return /did not self-register/.test(why) ? undefined : why.split('\n')[0]
  }
  return undefined
}

/** A library of CUDA, and why it does not open. */
export interface CudaLibrary {
  readonly name: string
  readonly problem?: string
}

/**
 * Tries each library that a TensorFlow for CUDA opens: beside it, where pip puts them, else wherever the system looks.
 * Empty where that TensorFlow is not for CUDA.
 *
 * @param library TensorFlow's shared library
 */
export const triedCuda = (library: string): readonly CudaLibrary[] => {
  const nvidia = join(siteOf(library), 'nvidia')
  const beside = new Map(
    entries(nvidia).flatMap((part) => {
      const folder = join(nvidia, part, 'lib')
      return entries(folder).map((file) => [file, join(folder, file)] as const)
    }),
  )
  return sonames(library).map((name): CudaLibrary => {
    const problem = whyNot(beside.get(name) ?? name)
    return problem === undefined ? { name } : { name, problem }
  })
}
