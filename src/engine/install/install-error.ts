/** What can go wrong while an engine is installed. */

/** The tags of {@link InstallError}. */
export type InstallErrorTag =
  /** Only Linux is built for. */
  | 'UnsupportedPlatform'
  | 'NoNpm'
  | 'NoPython'
  | 'NoCompiler'
  /** A package could not be fetched: npm or pip said so. */
  | 'NotFetched'
  /** `--from` names nothing that exists. */
  | 'NoSuchSource'
  /** A folder or file without TensorFlow's library, or without its C headers. */
  | 'NotTensorFlow'
  /** A folder, or what was fetched, without a plugin for XLA. */
  | 'NoPlugin'
  /** No GPU or TPU with its driver for which a plugin is known. */
  | 'NoDevice'
  /** A file that does not unpack. */
  | 'BadArchive'
  | 'CompileFailed'
  /** The compiled binding does not load or does not multiply. */
  | 'CheckFailed'
  /** The side folder cannot be written. */
  | 'NotWritable'

/** A failed step of the installation: what, where, and what to do. `output` is what the failing program wrote. */
export class InstallError extends Error {
  readonly tag: InstallErrorTag
  readonly output: string
  constructor(tag: InstallErrorTag, message: string, output = '') {
    super(output === '' ? message : `${message}\n${indent(lastLines(output, 12))}`)
    this.name = 'InstallError'
    this.tag = tag
    this.output = output
  }
}

const lastLines = (text: string, n: number): string => text.trimEnd().split('\n').slice(-n).join('\n')
const indent = (text: string): string =>
  text
    .split('\n')
    .map((l) => `  | ${l}`)
    .join('\n')
