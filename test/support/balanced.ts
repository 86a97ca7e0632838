/** Whether a page's tags are in order. */

/** Tags that open and never close, or close what is not open. */
export const unbalanced = (page: string): readonly string[] => {
  const alone = new Set(['meta', 'img', 'br', 'input', 'link'])
  const open: string[] = []
  const wrong: string[] = []
  const body = page.replace(/<(style|script)>[\s\S]*?<\/\1>/g, '').replace('<!doctype html>', '')
  for (const [, close, name, self] of body.matchAll(/<(\/?)([a-zA-Z][\w-]*)[^>]*?(\/?)>/g)) {
    if (alone.has(name!) || self === '/') continue
    if (close === '') open.push(name!)
    else if (open.pop() !== name) wrong.push(name!)
  }
  return [...wrong, ...open]
}
