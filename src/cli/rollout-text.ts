/**
 * Rollouts as a terminal shows them.
 *
 * @since 0.1.0
 */
import { stripVTControlCharacters } from 'node:util'
import { type EventOf, judgementLines, rewardOf, rewardText } from '../run/index.ts'
import { advantageText } from '../run/internal.ts'
import { clipLine, fit, grouped, type Ink, inked, type Look, textTable } from '../terminal/index.ts'
import { wrap } from './help.ts'
import type { RolloutRow } from './rollout-rows.ts'

/** What a model wrote may hold anything: nothing of it reaches the terminal but letters and line ends. */
const tame = (text: string): string =>
  stripVTControlCharacters(text).replace(/(?!\n)[\p{Cc}\p{Bidi_Control}]/gu, ' ')

const oneLine = (text: string): string => tame(text).replace(/\n/g, ' ⏎ ')

/** A table: a row a completion, its text cut where the line ends. */
export const rowsText = (rows: readonly RolloutRow[], look: Look): string => {
  const several = new Set(rows.map((r) => r.stage)).size > 1
  const cells = rows.map((r) => [
    ...(several ? [oneLine(r.stage)] : []),
    String(r.episode),
    oneLine(r.task),
    String(r.sample),
    r.reward === null ? '–' : rewardText(r.reward),
    r.advantage === null ? '–' : advantageText(r.advantage),
    String(r.length),
    r.stop,
  ])
  const heads = [
    ...(several ? [{ head: 'stage' }] : []),
    { head: 'episode', align: 'right' as const },
    { head: 'task' },
    { head: 'sample', align: 'right' as const },
    { head: 'reward', align: 'right' as const },
    { head: 'advantage', align: 'right' as const },
    { head: 'tokens', align: 'right' as const },
    { head: 'stop' },
  ]
  const [head, line, ...lines] = textTable(heads, cells, { colour: false }).split('\n')
  const room = lines.reduce((most, l) => Math.max(most, l.length), head!.length) + 2
  const shown = rows.map((r, i) => {
    const numbers = fit(lines[i]!, room)
    const text = clipLine(oneLine(r.text), Math.max(24, look.columns - room))
    return `${r.discarded === null ? numbers : inked(look, 'dim', numbers)}${text}`
  })
  return [
    inked(look, 'bold', `${fit(head!, room)}completion`),
    inked(look, 'dim', `${fit(line!, room)}──────────`),
    ...shown,
  ].join('\n')
}

/** How sure the policy was of a token, as ink: none above one in two, red below one in ten. */
const inkOf = (logProb: number): Ink | undefined =>
  logProb < Math.log(0.1) ? 'red' : logProb < Math.log(0.5) ? 'yellow' : undefined

type Completion = EventOf<'group'>['completions'][number]

const written = (c: Completion, look: Look): string =>
  !look.colour || c.texts === undefined
    ? tame(c.text)
    : c.texts
        .map((t, i) => {
          const ink = inkOf(c.logProbs[i] ?? 0)
          const plain = tame(t)
          return ink === undefined || plain === '' ? plain : inked(look, ink, plain)
        })
        .join('')

const indented = (text: string, by: string): string =>
  text
    .split('\n')
    .map((l) => `${by}${l}`)
    .join('\n')

/** A completion with its reward, part by part, and what that rests on. */
const completionText = (g: EventOf<'group'>, i: number, columns: number, look: Look): string => {
  const c = g.completions[i]!
  const judgement = g.judgements[i]
  const reward = rewardOf(judgement)
  const advantage = g.advantages[i]
  const about = [
    `reward ${reward === undefined ? 'none' : rewardText(reward)}`,
    advantage === null || advantage === undefined ? 'no advantage' : `advantage ${advantageText(advantage)}`,
    `${grouped(c.ids.length)} ${c.ids.length === 1 ? 'token' : 'tokens'}`,
    c.stop === 'end' ? 'ended by itself' : 'cut off',
    `after ${grouped(c.version)} ${c.version === 1 ? 'update' : 'updates'}`,
  ].join(', ')
  const lines = judgement === undefined ? [] : judgementLines(judgement)
  const shown = (lines.length > 1 ? lines.slice(1) : lines).map((l) => {
    const said = `${l.name === '' ? 'reward' : l.name} ${l.said}${l.why === '' ? '' : `: ${l.why}`}`
    const [first, ...more] = wrap(oneLine(said), columns - 6)
    const text = [`  ${first}`, ...more.map((line) => `    ${line}`)].join('\n')
    return inked(look, l.tag === 'Failed' ? 'red' : 'dim', text)
  })
  return [
    `${inked(look, 'bold', `sample ${c.sample}`)}  ${about}`,
    indented(written(c, look) || '(nothing)', '  │ '),
    ...shown,
  ].join('\n')
}

/** A group in full: what was asked, then each completion. */
export const groupText = (g: EventOf<'group'>, look: Look): string => {
  const columns = Math.max(40, look.columns)
  const head = `${g.task} (${g.family}): stage ${g.stage}, episode ${g.episode}, group ${g.index}`
  return [
    inked(look, 'bold', oneLine(head)),
    ...wrap(oneLine(g.question), columns),
    ...g.images.map((p) => inked(look, 'dim', oneLine(p))),
    ...(g.discarded === undefined ? [] : [inked(look, 'yellow', `discarded: ${oneLine(g.discarded)}`)]),
    '',
    g.completions.map((_, i) => completionText(g, i, columns, look)).join('\n\n'),
  ].join('\n')
}
