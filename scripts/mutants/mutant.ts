/** A planted bug: one line of the source made wrong, and the tests that should notice. */
export interface Mutant {
  readonly name: string
  /** Path from the package's root. */
  readonly file: string
  /** Text that occurs exactly once in the file, and what stands there instead. */
  readonly from: string
  readonly to: string
  /** Test files without folder `test` and ending: `dsl/adjoints`. */
  readonly tests: readonly string[]
}

/** Mutants of one file that the same tests should notice: name, text, text instead. */
export const mutantsOf = (
  file: string,
  tests: readonly string[],
  changes: readonly (readonly [name: string, from: string, to: string])[],
): readonly Mutant[] => changes.map(([name, from, to]) => ({ name, file, from, to, tests }))
