/**
 * What a judge is shown: a prompt from a file, and the text under judgement as data that cannot leave its place.
 *
 * @since 0.1.0
 */
import { readFileSync } from 'node:fs'
import { packageFile } from '../../../package/index.ts'

/** Where the package's prompts for judges are: `think.txt`, `answer.txt`. */
export const judgePrompt = (name: 'think' | 'answer'): string => packageFile('assets', 'judge', `${name}.txt`)

/** A prompt's text. */
export const readPrompt = (file: string): string => readFileSync(file, 'utf8').trim()

/** The lines around the data. */
const dataBegins = '----- the data begins -----'
const dataEnds = '----- the data ends -----'

const escaped = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`

/**
 * Texts as one line of JSON between two marked lines. A line break, a tag or a special token in a text is escaped, so that no
 * text can end the line, open a turn or look like one of the marks. A text longer than `most` characters is cut in its
 * middle, and `cut` names it.
 */
export const dataMessage = (texts: Readonly<Record<string, string>>, most = 20_000): string => {
  const cut: string[] = []
  const kept = Object.entries(texts).map(([name, text]) => {
    if (text.length <= most) return [name, text] as const
    cut.push(name)
    return [name, `${text.slice(0, most / 2)} … ${text.slice(-most / 2)}`] as const
  })
  const data = { ...Object.fromEntries(kept), ...(cut.length === 0 ? {} : { cut }) }
  // pairs of surrogates are characters; lone ones are not
  const json = JSON.stringify(data).replaceAll(
    /[\ud800-\udbff][\udc00-\udfff]|[<>&\u007f-\u009f\u2028\u2029\ud800-\udfff]/g,
    (c) => (c.length === 2 ? c : escaped(c)),
  )
  return `${dataBegins}\n${json}\n${dataEnds}`
}
