import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { advanceOf, capHeightOf, fonts, type Glyph } from '../../src/tasks/canvas.ts'
import { type ArithmeticScene, steps } from '../../src/tasks/families/arithmetic.ts'
import { type ChartScene, layout } from '../../src/tasks/families/chart.ts'
import type { CountScene } from '../../src/tasks/families/count.ts'
import type { ReadScene } from '../../src/tasks/families/read.ts'
import { describeSample, render, taskOf } from '../../src/tasks/mixture.ts'
import { alphabet, centreClasses, patchAt, patchClasses, patchGrid } from '../../src/tasks/patches.ts'
import {
  type Described,
  type Family,
  families,
  finalOf,
  isExact,
  type Level,
  type Scene,
} from '../../src/tasks/sample.ts'

const scenes = <S extends Scene>(family: Family, n: number, level?: Level): readonly Described<S>[] =>
  Array.from({ length: n }, (_, i) =>
    describeSample(family, level ?? (((i % 3) + 1) as Level), 'train', `truth/${i}`),
  ) as unknown as readonly Described<S>[]

/** Whether a character, which stands in the middle of its cell, lies wholly in the image. */
const inImage = ({ font, fontSize }: Pick<ReadScene, 'font' | 'fontSize'>, g: Glyph): boolean => {
  const inset = (g.width - advanceOf(font, g.character) * fontSize) / 2
  return g.x + inset >= 0 && g.x + g.width - inset <= 112 && g.y >= 0 && g.y + g.height <= 112
}

test('read: level n has n + 1 characters inside the image, in all five fonts and at readable sizes', () => {
  const all = scenes<ReadScene>('read', 300)
  for (const d of all) {
    assert.is(d.final.length, d.level + 1)
    assert.is(d.scene.glyphs.map((g) => g.character).join(''), d.answer)
    for (const g of d.scene.glyphs) {
      assert.ok(inImage(d.scene, g), d.id)
      assert.ok(g.height >= 14, `${d.id}: ${g.height} pixels high`)
      assert.ok(Math.abs(g.height - capHeightOf(d.scene.font) * d.scene.fontSize) < 1e-9)
    }
  }
  assert.is(new Set(all.map((d) => d.scene.font)).size, fonts.length)
  assert.ok(alphabet.length >= 32 && new Set(alphabet).size === alphabet.length)
})

test('read: the ink lies in the glyphs’ boxes, and there is ink in each', () => {
  for (const d of scenes<ReadScene>('read', 40)) {
    const { data } = render(d).image
    const [gr, gg, gb] = d.scene.inks.groundRgb
    const inked = (x: number, y: number) => {
      const at = (y * 112 + x) * 3
      return Math.abs(data[at]! - gr) + Math.abs(data[at + 1]! - gg) + Math.abs(data[at + 2]! - gb) > 60
    }
    const within = (x: number, y: number, grow: number) =>
      d.scene.glyphs.some(
        (g) =>
          x >= g.x - grow && x <= g.x + g.width + grow && y >= g.y - grow && y <= g.y + g.height * 1.3 + grow,
      )
    for (let y = 0; y < 112; y++)
      // the serif's 5, 0 and O rise up to 2.5 pixels above the capitals
      for (let x = 0; x < 112; x++) if (inked(x, y)) assert.ok(within(x, y, 3), `${d.id}: ink at ${x}, ${y}`)
    for (const g of d.scene.glyphs) {
      let ink = 0
      for (let y = Math.ceil(g.y); y < g.y + g.height; y++)
        for (let x = Math.ceil(g.x); x < g.x + g.width; x++) if (inked(x, y)) ink++
      assert.ok(ink > 15, `${d.id}: '${g.character}' has ${ink} inked pixels`)
    }
  }
})

test('count: answer and caption agree with the scene, and the shapes do not touch', () => {
  const answers = new Map<string, number>()
  for (const d of scenes<CountScene>('count', 600)) {
    const { shapes, asked } = d.scene
    assert.ok(shapes.length >= 1 && shapes.length <= [3, 6, 9][d.level - 1]!)
    let n = 0
    for (const s of shapes) {
      if (d.question.includes(s.colour) || asked.colour === null)
        if (d.question.includes(s.kind) || asked.kind === null) n++
    }
    assert.is(d.final, `${n}`)
    assert.is(
      /^How many ((red|green|blue) (circles|squares|triangles|shapes) are there|(circles|squares|triangles) are in view)\?$/.test(
        d.question,
      ),
      true,
    )
    const told = [...d.caption.matchAll(/(\d) (\w+) (circle|square|triangle)s?/g)]
    const total = told.reduce((sum, [, k]) => sum + Number(k), 0)
    assert.is(total, shapes.length)
    for (const [, k, colour, kind] of told)
      assert.is(shapes.filter((s) => s.colour === colour && s.kind === kind).length, Number(k))
    shapes.forEach((a, i) => {
      for (const b of shapes.slice(i + 1))
        assert.ok(Math.max(Math.abs(a.x - b.x), Math.abs(a.y - b.y)) >= (a.size + b.size) / 2 + 1)
    })
  }
  for (const d of scenes<CountScene>('count', 1000, 3)) answers.set(d.final, (answers.get(d.final) ?? 0) + 1)
  assert.is(answers.size, 10)
  for (const [answer, n] of answers) assert.ok(n >= 60 && n <= 140, `answer ${answer}: ${n} of 1000`)
})

test('count: the pixels at a shape’s middle have its colour', () => {
  for (const d of scenes<CountScene>('count', 40)) {
    const { data } = render(d).image
    for (const s of d.scene.shapes) {
      const at = (Math.floor(s.y + 1) * 112 + Math.floor(s.x)) * 3
      assert.equal([...data.subarray(at, at + 3)], [...s.rgb], d.id)
    }
  }
})

test('chart: answers agree with the bars; the largest is alone', () => {
  for (const d of scenes<ChartScene>('chart', 400)) {
    const { bars, asked } = d.scene
    assert.ok(bars.length >= 3 && bars.length <= 5)
    assert.is(new Set(bars.map((b) => b.letter)).size, bars.length)
    assert.ok(bars.every((b) => Number.isInteger(b.value) && b.value >= 0 && b.value <= 20))
    const sorted = bars.toSorted((a, b) => b.value - a.value)
    assert.ok(sorted[0]!.value > sorted[1]!.value)
    if (asked === null) assert.is(d.final, sorted[0]!.letter)
    else {
      assert.ok(d.question.endsWith(` ${asked}?`))
      assert.is(d.final, `${bars.find((b) => b.letter === asked)!.value}`)
    }
    assert.is(d.caption.split('bars ')[1], bars.map((b) => `${b.letter}=${b.value}`).join(' '))
  }
})

test('chart: the rendered bars have the heights and colours of their values, in every style and order', () => {
  let looked = 0
  for (const d of scenes<ChartScene>('chart', 90)) {
    const { data } = render(d).image
    const { style, bars } = d.scene
    layout(style, bars).forEach(({ bar }, n) => {
      const { rgb, value } = bars[n]!
      const far = (x: number, y: number) =>
        Math.max(
          ...[0, 1, 2].map((c) => Math.abs(data[(Math.floor(y) * 112 + Math.floor(x)) * 3 + c]! - rgb[c]!)),
        )
      const [mx, my] = [bar.x + bar.width / 2, bar.y + bar.height / 2]
      if (value > 0) assert.ok(far(mx, my) <= 3, `${d.id}: bar ${bars[n]!.letter} is not where it should be`)
      const past = style.upright ? far(mx, bar.y - 2.2) : far(bar.x + bar.width + 2.2, my)
      assert.ok(past > 20, `${d.id}: bar ${bars[n]!.letter} goes on past its value`)
      looked++
    })
    const oneUnit = style.upright ? (112 - 11 - 15) / 20 : (112 - 15 - 14) / 20
    assert.ok(oneUnit >= 3)
  }
  assert.ok(looked > 250)
})

test('arithmetic: the written steps are right, step by step, for every expression there is', () => {
  for (let a = 10; a < 100; a++)
    for (let b = 10; b < 100; b++)
      for (const sign of ['+', '-'] as const) {
        if (sign === '-' && b > a) continue
        const { text, result } = steps(a, sign, b)
        assert.is(result, sign === '+' ? a + b : a - b)
        const [head, units, tens, last] = text.split(/: |, /) as [string, string, string, string]
        assert.is(head, `${a}${sign}${b}`)
        const value = (side: string) => side.split(/(?=[+-])/).reduce((sum, term) => sum + Number(term), 0)
        for (const step of [units, tens]) {
          const [left, right] = step.split('=') as [string, string]
          assert.is(value(left), Number(right), text)
        }
        const [u, t] = [units, tens].map((step) => Number(step.split('=')[1])) as [number, number]
        assert.is(t * 10 + (u % 10), result, text)
        assert.is(last, `so ${result}`)
        assert.is(finalOf('arithmetic', text), `${result}`)
      }
})

test('arithmetic: the image shows the expression, and level 1 never carries', () => {
  for (const d of scenes<ArithmeticScene>('arithmetic', 300)) {
    const { a, b, sign, layout: set, glyphs } = d.scene
    const shown = glyphs.map((g) => g.character).join('')
    assert.is(shown, `${a}${sign}${b}${set === 'equals' ? '=' : ''}`)
    assert.is(d.answer, steps(a, sign, b).text)
    assert.ok(a >= 10 && a <= 99 && b >= 10 && b <= 99 && (sign === '+' || a >= b))
    if (d.level === 1) assert.ok(sign === '+' && (a % 10) + (b % 10) < 10 && a + b < 100)
    for (const g of glyphs) assert.ok(inImage(d.scene, g), d.id)
  }
})

test('final answers: taken exactly, and nothing else is', () => {
  assert.is(finalOf('read', ' K7QM<|im_end|>rest'), 'K7QM')
  assert.is(finalOf('read', '<think>it may be K1</think>K7QM'), 'K7QM')
  assert.is(finalOf('count', 'There are \\boxed{3} circles'), '3')
  assert.is(finalOf('count', '\\boxed{2} or \\boxed{3}'), '3')
  assert.is(finalOf('arithmetic', '47+38: 7+8=15, 4+3+1=8, so 85.'), '85')
  assert.is(finalOf('arithmetic', '85'), '85')
  assert.is(finalOf('arithmetic', '47+38: 7+8=15'), '')
  const four: Pick<Described, 'family' | 'final'> = { family: 'count', final: '4' }
  assert.ok(isExact(four, '4'))
  assert.not(isExact(four, '14'))
  assert.not(isExact(four, '4 circles'))
  assert.not(isExact({ family: 'read', final: 'K7QM' }, 'K7Q'))
  for (const family of families)
    for (const d of scenes(family, 50)) assert.ok(isExact(d, d.answer), `${d.id}: ${d.answer}`)
})

test('patches: every character and shape owns its middle patch and covers at least one', () => {
  for (const family of families)
    for (const d of scenes(family, 40)) {
      const { classes, centres, values } = taskOf(d.scene).patches(d.scene)
      assert.is(classes.length, patchGrid * patchGrid)
      assert.ok([...classes].every((id) => id < patchClasses.length))
      assert.ok([...centres].every((id) => id < centreClasses.length))
      assert.ok([...values].every((v) => v >= -1 && v <= 20))
      const named = (p: number) => patchClasses[classes[p]!]!
      if (d.scene.family === 'count') {
        for (const s of d.scene.shapes) {
          const p = patchAt(s.x, s.y)
          assert.is(named(p), `${s.colour} ${s.kind}`)
          assert.is(centreClasses[centres[p]!], `${s.colour} ${s.kind}`)
        }
        assert.is([...centres].filter((id) => id > 0).length, d.scene.shapes.length)
      } else if (d.scene.family === 'chart') {
        for (const b of d.scene.bars) {
          const own = [...classes.keys()].filter(
            (p) => named(p) === `bar ${b.letter}` || named(p) === b.letter,
          )
          assert.ok(own.length > 0, `${d.id}: no patch for bar ${b.letter}`)
          assert.ok(own.every((p) => values[p] === b.value))
        }
      } else {
        for (const g of d.scene.glyphs) {
          assert.ok(
            [...classes.keys()].some((p) => named(p) === g.character),
            `${d.id}: no patch of ${g.character}`,
          )
          const p = patchAt(g.x + g.width / 2, g.y + g.height / 2)
          assert.is(centreClasses[centres[p]!], g.character, d.id)
        }
      }
    }
})

test.run()
