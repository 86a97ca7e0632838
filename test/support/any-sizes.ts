/** A model of a few thousand weights that reads images of any size, and conversations about wide and tall ones. */
import { anySizes } from '../../src/data/any-resolution.ts'
import { type Conversation, conversation } from '../../src/data/conversation.ts'
import { processor } from '../../src/data/processor.ts'
import { anyResolution } from '../../src/models/presets.ts'
import { sailVl2Model } from '../../src/models/sail-vl2.ts'
import { random } from '../../src/random/index.ts'
import { nanoTokenizer } from '../../src/tasks/nano.ts'
import { tiny } from './tiny.ts'

/** Squares of 4 × 4 pixels, two patches each way. */
export const anyModel = sailVl2Model('tiny-any', anyResolution(tiny))

/** At most eight squares of a conversation's images together. */
export const anyProcessor = processor(nanoTokenizer(), {
  image: { ...anyModel.image, reading: anySizes(anyModel.image, { least: 1, most: 8 }) },
})

const words = ['red', 'green', 'blue']

/** A conversation about one or two images of other shapes; the answer is the colour of the last one. */
export const anyConversation = (i: number, count = 1 + (i % 2)): Conversation => {
  const r = random('any', i)
  const colours = Array.from({ length: count }, () => r.int(0, 2))
  return conversation(anyProcessor, {
    ...{ id: `any/${i}`, request: '?'.repeat(1 + (i % 3)), answer: words[colours.at(-1)!]! },
    images: colours.map((colour) => {
      const [width, height] = [4 * r.int(1, 4), 4 * r.int(1, 4)]
      const data = Uint8Array.from({ length: width * height * 3 }, (_, p) =>
        p % 3 === colour ? r.int(200, 255) : r.int(0, 40),
      )
      return { width, height, channels: 3, data }
    }),
  })
}
