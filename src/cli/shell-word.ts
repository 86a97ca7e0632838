/**
 * Words as a shell takes them.
 *
 * @since 0.1.0
 */

/** A word, quoted where it has to be, so that a printed command can be pasted. */
export const shellWord = (word: string): string =>
  /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
