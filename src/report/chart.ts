/**
 * Charts as SVG text that follows the page's light or dark colours: a Vega-Lite specification in, an inline picture out.
 *
 * @since 0.1.0
 */
import type { Config, TopLevelSpec } from 'vega-lite'
import { escapeHtml, type Html, html, trusted } from './html.ts'

const font = 'system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, Arial, sans-serif'

/** The page's colours by name; the style sheet gives them their values. */
export const colour = {
  strong: 'var(--strong)',
  faint: 'var(--faint)',
  second: 'var(--second)',
  third: 'var(--third)',
  fourth: 'var(--fourth)',
  wrong: 'var(--wrong)',
  text: 'var(--text)',
  muted: 'var(--muted)',
  line: 'var(--line)',
} as const

const config: Config = {
  background: 'transparent',
  font,
  padding: 4,
  view: { stroke: null },
  axis: {
    labelColor: colour.muted,
    titleColor: colour.muted,
    titleFontWeight: 'normal',
    labelFontSize: 11,
    titleFontSize: 11,
    gridColor: colour.line,
    domainColor: colour.line,
    tickColor: colour.line,
  },
  text: { color: colour.text, font },
}

/**
 * Draws a specification. `alt` says in a sentence what the picture shows, for those who do not see it.
 *
 * @throws whatever Vega throws at a specification that it does not accept
 */
export const draw = async (spec: TopLevelSpec, alt: string): Promise<Html> => {
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')])
  const compiled = compile({ ...spec, config }, { logger: vega.logger(vega.Error) })
  const view = new vega.View(vega.parse(compiled.spec), { renderer: 'none', logLevel: vega.Error })
  const svg = await view.toSVG()
  view.finalize()
  return trusted(
    svg
      .replace(/ aria-(hidden|label|roledescription)="[^"]*"/g, '')
      .replace(/ role="graphics-[a-z]+"/g, '')
      .replace(/^<svg [^>]*viewBox="([^"]+)"[^>]*>/, (_, box: string) => opening(box, alt)),
  )
}

/** Two drawings of the same: the style sheet shows the second where the window is narrow, where the first would be too small to read. */
export const atWidths = (wide: Html, narrow: Html): Html =>
  html`<div class="at-wide">${wide}</div><div class="at-narrow">${narrow}</div>`

/** What each colour stands for. `shape` is that of the marks. */
export const legend = (
  shape: 'line' | 'box' | 'mark',
  keys: readonly { readonly name: string; readonly colour: string; readonly shape?: string }[],
): Html =>
  html`<p class="note">${keys.map(
    (k) =>
      html`<span class="legend"><span class="key ${shape}" style="color:${k.colour}">${shape === 'mark' && (glyphs[k.shape ?? ''] ?? '●')}</span>${k.name}</span>`,
  )}</p>`

/** The charts' marks as letters. */
const glyphs: Readonly<Record<string, string>> = {
  'triangle-up': '▲',
  circle: '●',
  diamond: '◆',
  cross: '✚',
}

const opening = (box: string, alt: string): string => {
  const [, , w, h] = box.split(' ')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${box}" width="${w}" height="${h}" role="img" aria-label="${escapeHtml(alt)}">`
}
