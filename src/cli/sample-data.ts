/**
 * Small data for a first run, made up and marked as such: chats, and images of coloured shapes.
 *
 * @since 0.1.0
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

const lines = (rows: readonly unknown[]): string => rows.map((r) => `${JSON.stringify(r)}\n`).join('')

/** Chats about numbers: 96 lines. */
export const writeChats = async (path: string): Promise<void> => {
  const rows = Array.from({ length: 96 }, (_, i) => ({
    messages: [
      { role: 'user', content: `Which number comes after ${i}?` },
      { role: 'assistant', content: `After ${i} comes ${i + 1}.` },
    ],
    source: 'sample data made by sailwright new; put your own in its place',
  }))
  const { makeFolder } = await import('../formats/index.ts')
  await makeFolder(dirname(path))
  await writeFile(path, lines(rows), { flag: 'wx' })
}

const colours = { red: '#d22', green: '#2a2', blue: '#24d' } as const
const shapes = {
  circle: (x: number, y: number, r: number) => `<circle cx="${x}" cy="${y}" r="${r}"/>`,
  square: (x: number, y: number, r: number) =>
    `<rect x="${x - r}" y="${y - r}" width="${2 * r}" height="${2 * r}"/>`,
  triangle: (x: number, y: number, r: number) =>
    `<path d="M${x} ${y - r} L${x + r} ${y + r} L${x - r} ${y + r} Z"/>`,
} as const

/** An image of the sample, with what it shows. */
interface Shown {
  readonly file_name: string
  readonly shape: string
  readonly colour: string
}

/** Writes an image a shape, colour and place, and a table with the rows that `rowsOf` makes of each: 72 images. */
const writeImages = async (folder: string, rowsOf: (image: Shown) => readonly unknown[]): Promise<void> => {
  const { default: sharp } = await import('sharp')
  // a folder that is there already is the user's own
  const { makeFolder } = await import('../formats/index.ts')
  await makeFolder(dirname(folder))
  await mkdir(folder)
  const rows: unknown[] = []
  for (let i = 0; i < 72; i++) {
    const [shape, draw] = Object.entries(shapes)[i % 3]!
    const [colour, fill] = Object.entries(colours)[Math.floor(i / 3) % 3]!
    const [x, y, r] = [24 + ((i * 7) % 17), 24 + ((i * 11) % 17), 10 + ((i * 5) % 9)]
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="#fff"/><g fill="${fill}">${draw(x, y, r)}</g></svg>`
    const file_name = `${i}-${colour}-${shape}.png`
    await sharp(Buffer.from(svg)).png().toFile(join(folder, file_name))
    rows.push(...rowsOf({ file_name, shape, colour }))
  }
  await writeFile(
    join(folder, 'README.md'),
    'Sample data made by `sailwright new`: shapes drawn for a first run. Put your own images and metadata.jsonl in its place.\n',
  )
  // last: a folder that lacks it is no data
  await writeFile(join(folder, 'metadata.jsonl'), lines(rows))
}

/** Images with the shape that each shows as its label. */
export const writeLabelledImages = (folder: string): Promise<void> =>
  writeImages(folder, ({ file_name, shape }) => [{ file_name, label: shape }])

/** Images with two questions each. */
export const writeImageQuestions = (folder: string): Promise<void> =>
  writeImages(folder, ({ file_name, shape, colour }) => [
    { file_name, question: 'Which shape is it?', answer: shape },
    { file_name, question: 'Which colour is it?', answer: colour },
  ])
