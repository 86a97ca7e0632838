// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what stands in quotes is source
import { mutantsOf } from './mutant.ts'

/** Bugs of `src/data`. */
export const data = [
  mutantsOf(
    'src/settings/settings.ts',
    ['settings/words', 'settings/settings', 'train/misspelt'],
    [
      ['a misspelt setting does nothing and says nothing', 'if (odd !== undefined)', 'if (false)'],
      ['what is no record is taken for settings', "if (kind !== 'a record')", 'if (false)'],
      ['any number is a seed', 'Number.isFinite(seed)', 'true'],
      ['a function has to be given', 'f === undefined || ', ''],
      ['what is no function is one', "typeof f === 'function') return f", 'true) return f'],
      ['a promise is a record', "? 'a promise; await it first'", "? 'a record'"],
      ['an Either is a record', "? 'an Either; take what is on its right side'", "? 'a record'"],
      ['members that are undefined stay', 'member !== undefined', 'true'],
      ['a setting inside another loses its name', 'settingName(odd.name, within)', 'odd.name'],
    ],
  ),
  mutantsOf(
    'src/dsl/layers/linear.ts',
    ['settings/settings'],
    [
      [
        'a function forgets its settings',
        "  onlySettings('linear', options, ['bias', 'init', 'weight'])\n",
        '',
      ],
    ],
  ),
  mutantsOf(
    'src/data/conversation.ts',
    ['data/prompt'],
    [
      [
        "a row's own columns make it no exchange",
        'near !== undefined && e[near as keyof Exchange] === undefined',
        'name !== near',
      ],
      ['a misspelt part of an exchange is left out', "kindOf(e) === 'a record' ? misspelt(e) : e", '{}'],
    ],
  ),
  mutantsOf(
    'src/data/bmp.ts',
    ['data/read-image'],
    [
      ['pixels that are missing are grey', 'bytes.length < end', 'false'],
      ['runs that are missing are white', '[0, 1, 2, 3].includes', '[0, 3].includes'],
      ['runs are as long as rows', '[1, 2].includes', '[].includes'],
      ['what is transparent is black', 'c.fillRect(0, 0, width, height)\n', '\n'],
      ['a short header is read as a long one', 'of.getUint32(14, true) === 12\n', 'false\n'],
    ],
  ),
  mutantsOf(
    'src/data/row-chat.ts',
    ['data/chat'],
    [
      [
        "the system's column is dropped",
        "return [{ role: 'system', parts: textPart(told) }, ...turns]",
        'return turns',
      ],
      ['of two questions one is dropped', 'row.columns[name])).size > 1)', 'row.columns[name])).size > 9)'],
      ["a system's turn that says another hides the column", ".join('') === told", ".join('') !== ''"],
      ["an instruction's input is dropped", '? [textOf(more)] : []', '? [] : []'],
    ],
  ),
  mutantsOf(
    'src/models/image-processing.ts',
    ['models/pretrained'],
    [
      [
        'images of another mean are read',
        'Math.abs(x - values[i]!) < 1e-3)',
        'Math.abs(x - values[i]!) < 1)',
      ],
    ],
  ),
  mutantsOf(
    'src/data/split.ts',
    ['data/shuffled'],
    [
      ['an empty side says nothing', 'if (!given) throw', 'if (false) throw'],
      ['an endless source of one key is read for ever', 'alike && read === manyAlike', 'read === -1'],
    ],
  ),
  mutantsOf(
    'src/data/row-chat.ts',
    ['data/chat'],
    [
      ['calls of tools are dropped', 'if (more !== undefined)', 'if (false)'],
      ['a weight of one half is learnt', 'turn.weight !== 1 && turn.weight !== 0', 'false'],
      ['what a prompt has is learnt', '(i) => i < asked.length', '() => false'],
      ['tools are dropped', "if (has('tools'))", 'if (false)'],
      ['what is not wanted is learnt', 'row.columns.label === false', 'false'],
      ['an answer is part of its prompt', "isList && all.at(-1)?.role === 'assistant'", 'false'],
      ['the weight of a question is one of an answer', "roleOf(i, role) === 'assistant' && ", ''],
    ],
  ),
  mutantsOf(
    'src/data/rows/row-key.ts',
    ['data/rows'],
    [
      ['bytes of one path are one image', 'names(bytes ?? path)', 'names(path)'],
      ['rows without an image are all one', 'media.length === 0 ? JSON.stringify(columns) : ', ''],
    ],
  ),
  mutantsOf(
    'src/data/rows/row.ts',
    ['data/plain-texts', 'data/bad-rows'],
    [
      ['inside an example it goes on at its first', 'for (let i = given;', 'for (let i = 0;'],
      ['pieces are left out of the next example, too', '        given = 0\n', ''],
      ['inside an example the place is behind it', 'inside(before, i + 1)', 'inside(next, i + 1)'],
      ['the place before an example stays', '        before = next\n', ''],
      ['a place of the source is taken for one inside', 'isInside(next) ? inside(next, 0) : next', 'next'],
      ['an example that has fewer is passed over', 'given > 0 && given >= made.length', 'false'],
      ['what a row is quoted with is long', 'reason.length <= longestReason', 'true'],
    ],
  ),
  mutantsOf(
    'src/data/rows/file-rows.ts',
    ['data/bad-rows'],
    [
      ['rows nest as deep as they are', '  if (than === 0) return true\n', ''],
      ['lists nest as deep as they are', 'value.some((inner) => isDeeper(inner, than - 1))', 'false'],
      ['records nest as deep as they are', 'if (isDeeper(record[key], than - 1)) return true', ''],
    ],
  ),
  mutantsOf(
    'src/data/rows/file-size.ts',
    ['data/rows-of'],
    [['a file that changed is read on', 'if (now !== bytes)', 'if (now < bytes)']],
  ),
  mutantsOf(
    'src/data/conversations.ts',
    ['data/bad-rows', 'data/chat', 'data/plain-texts'],
    [
      ['the first token of a text is learnt', '(_, i) => i > 0', '() => true'],
      [
        'a text has no end',
        '[...processor.tokenizer.encodeText(text), processor.end]',
        '[...processor.tokenizer.encodeText(text)]',
      ],
      [
        'a piece begins behind the one before it',
        'n * (tokens - 1), n * (tokens - 1) + tokens',
        'n * tokens, n * tokens + tokens',
      ],
      [
        'a token at a cut is a piece more',
        'Math.ceil((ids.length - 1) / (tokens - 1))',
        'Math.ceil(ids.length / (tokens - 1))',
      ],
      ['a text as long as a row is cut', 'if (ids.length <= tokens)', 'if (ids.length < tokens)'],
      ['pieces have one name', 'id: `${id}[${n}]`', 'id'],
      [
        'more images than a row has room for are let through',
        'if (tiles > images)',
        'if (tiles > images + 1)',
      ],
    ],
  ),
  mutantsOf(
    'src/models/config.ts',
    ['models/config', 'cli/summary'],
    [
      ['images are cut that are not to be', 'w.dynamic_image_size ? { tiling', 'true ? { tiling'],
      ['the side of images may be another', 'w.force_image_size !== imageSize)', 'false)'],
    ],
  ),
  mutantsOf(
    'src/data/pack.ts',
    ['data/pack'],
    [
      [
        'the images of the first sample are not counted where images are even',
        '{ ...even, images: even.images - images }',
        'even',
      ],
      [
        'the oldest may wait for ever',
        'const first = waiting.findIndex(',
        'const first = waiting.findLastIndex(',
      ],
    ],
  ),
  mutantsOf(
    'src/train/supervised-run.ts',
    ['train/packed-next-token'],
    [['a step counts packs', 'samples += samplesOf(batches) ?? perStep', 'samples += perStep']],
  ),
  mutantsOf(
    'src/data/tiling.ts',
    ['data/tiling'],
    [
      ['of equally near grids always the larger', 'off === least && fills', 'off === least'],
      ['of equally near grids always the smaller', 'off === least && fills', 'false'],
      ['the second grid may lie on the first', 'first.columns % g.columns !== 0 ||', 'true ||'],
      ['tiles lie column by column', 'large, (i % columns) * size', 'large, (i % rows) * size'],
    ],
  ),
  mutantsOf(
    'src/data/prompt.ts',
    ['data/prompt'],
    [
      ['an image is cut', 'if (fits || piece.image === undefined) for', 'for'],
      ['what comes after an image that does not fit stays', '      break\n', '      continue\n'],
    ],
  ),
  mutantsOf(
    'src/data/video.ts',
    ['data/video'],
    [
      [
        'frames are those at the beginnings of equal stretches',
        'Math.floor(((i + 0.5) * of) / most)',
        'Math.floor((i * of) / most)',
      ],
      [
        'an animation’s delays do not count',
        'delay?.length === pages ? delay :',
        'delay?.length === 0 ? delay :',
      ],
      [
        'frames lie in the order of letters',
        "new Intl.Collator('en', { numeric: true })",
        "new Intl.Collator('en')",
      ],
    ],
  ),
  mutantsOf(
    'src/data/ffmpeg.ts',
    ['data/video'],
    [
      ['a list of files is read', "'-nostdin', ...allowed,", "'-nostdin',"],
      ['frames are those at the beginnings', '((i + 0.5) * seconds) / count', '(i * seconds) / count'],
    ],
  ),
  mutantsOf(
    'src/data/chat-conversation.ts',
    ['data/chat'],
    [
      ['another answer is left unlearnt', 'let run = -1\n', 'let run = 0\n'],
      ['every answer is learnt', '({ learn }) => learn !== false)) return mask', '() => true)) return mask'],
    ],
  ),
  mutantsOf(
    'src/data/template-ids.ts',
    ['data/chat'],
    [['a row’s variables are left out', '...template.variables, ...chat.variables', '...template.variables']],
  ),
  mutantsOf(
    'src/data/chat-conversation.ts',
    ['data/video'],
    [
      ['frames have no number', "{ type: 'text', text: frameLabel(i) },", ''],
      [
        'as many frames as a video may have anywhere',
        'readVideo(part.video, p.image?.frames)',
        'readVideo(part.video)',
      ],
    ],
  ),
  mutantsOf(
    'src/data/any-resolution.ts',
    ['data/any-resolution'],
    [
      ['images are counted from 0', 'number++', ''],
      ['each image may have the whole budget', 'Math.floor(most / images.length)', 'most'],
      [
        'what is long and thin is over the budget',
        'Math.min(columns, Math.max(1, Math.floor(most / rows)))',
        'columns',
      ],
      ['a square’s patches are turned', 'fold + Math.floor(within / fold)', 'fold + (within % fold)'],
      ['a patch is of the row above', '+ row * patchSize + y)', '+ row * patchSize - patchSize + y)'],
    ],
  ),
  mutantsOf(
    'src/data/collate.ts',
    ['data/collate', 'train/other-model'],
    [
      [
        'a label is the token before',
        'if (c.lossMask[t]) out.labels[at] = id',
        'if (c.lossMask[t]) out.labels[at - 1] = id',
      ],
      ['everything is learnt', 'if (c.lossMask[t]) out.labels[at] = id', 'out.labels[at] = id'],
      ['positions count from 1', 'out.position_ids[at] = t', 'out.position_ids[at] = t + 1'],
      ['each row’s images begin at the first', 'const begin = place', 'const begin = (place = 0)'],
      [
        'every place of an image is its first',
        'out[row * sizes.tokens + start + t] = place++',
        'out[row * sizes.tokens + start + t] = place',
      ],
      [
        'the second image of a conversation is the first',
        'imagenetNormalise(image, out, at++',
        'imagenetNormalise(own[0]!, out, at++',
      ],
      ['too many tokens are cut', 'if (c.ids.length > sizes.tokens)', 'if (c.ids.length < 0)'],
      [
        'a token of the first place counts',
        'for (let t = 1; t < c.ids.length; t++) if',
        'for (let t = 0; t < c.ids.length; t++) if',
      ],
      ['padding is the first word', 'fill(processor.pad)', 'fill(0)'],
      ['an id beyond the vocabulary goes through', 'id >= 0 && id < vocabulary', 'id >= 0'],
    ],
  ),
  mutantsOf(
    'src/data/collate.ts',
    ['train/other-model'],
    [['every image takes the first place', 'at++ * 3 * size * size)', '0 * at++)']],
  ),
  mutantsOf(
    'src/data/image.ts',
    ['data/collate'],
    [
      ['red is read for every channel', 'data[p * 3 + ch]!', 'data[p * 3]!'],
      ['the mean is not taken off', '* scale - shift', '* scale'],
      ['every channel has red’s deviation', '1 / (255 * imagenetStd[ch]!)', '1 / (255 * imagenetStd[0]!)'],
    ],
  ),
  mutantsOf(
    'src/data/conversation.ts',
    ['data/collate', 'tasks/nano', 'train/other-model'],
    [
      [
        'the end of the turn is not learnt',
        '...learnt.map(() => true)',
        '...learnt.map((_, i) => i < learnt.length - 1)',
      ],
      ['the prompt is learnt too', '...prompt.map(() => false)', '...prompt.map(() => true)'],
      ['the prompt without its last token', 'promptLength: prompt.length', 'promptLength: prompt.length - 1'],
      ['no end after the answer', 'return [...text(answer), p.end]', 'return [...text(answer)]'],
    ],
  ),
  mutantsOf(
    'src/data/conversation.ts',
    ['data/prompt'],
    [
      [
        'one image’s tokens whatever their number',
        'Array.from({ length: images }',
        'Array.from({ length: Math.min(images, 1) }',
      ],
    ],
  ),
  mutantsOf(
    'src/data/processor.ts',
    ['data/collate', 'generation/greedy'],
    [
      [
        'a vocabulary larger than the model’s goes through',
        'p.tokenizer.size > model.vocabSize',
        'p.tokenizer.size < 0',
      ],
      ['images of another size go through', "['size', 'tokens'] as const)\n", "['tokens'] as const)\n"],
      ['the end is the beginning', "id('chat.end', end)", "id('chat.end', start)"],
    ],
  ),
  mutantsOf(
    'src/data/source.ts',
    ['data/sources', 'train/stage'],
    [
      ['a source goes on with the example that it gave last', 'next: ++index', 'next: index++'],
      ['what is no iteration is iterated', 'if (!isIterable(examples))', 'if (false)'],
      ['an opened source begins at its beginning', 'let index = place as number', 'let index = 0'],
      ['a batch’s place is that before it', 'next = placed.next', ''],
      ['what is left over at the end is lost', 'if (examples.length > 0) yield { examples, next }', ''],
      ['the source is never closed', 'await stream.return?.()', ''],
      ['repeated from where it was opened', 'at = undefined', ''],
      ['an empty source is repeated for ever', 'if (!some)', 'if (!some && at !== at)'],
    ],
  ),
  mutantsOf(
    'src/data/rows/parquet.ts',
    ['data/parquet'],
    [
      ['it goes on one row too early', 'next: { row },', 'next: { row: row - 1 },'],
      ['it goes on at the beginning of a row group', 'Math.max(begin, place.row)', 'begin'],
      [
        'rows share the file’s bytes',
        'if (value instanceof Uint8Array) return value.slice()',
        'if (value instanceof Uint8Array) return value',
      ],
      [
        'whole numbers lose digits',
        'Number.isSafeInteger(Number(value)) ? Number(value) : String(value)',
        'Number(value)',
      ],
      ['row groups of any size are read', 'if (bytes > largest)', 'if (bytes < 0)'],
      ['lines count from 0', 'const row = from + k + 1', 'const row = from + k'],
    ],
  ),
  mutantsOf(
    'src/data/curation/curated.ts',
    ['data/curation'],
    [
      [
        'the dropped are kept',
        'kept: kept.filter((_, i) => why[i] === undefined)',
        'kept: kept.filter((_, i) => why[i] !== undefined)',
      ],
      ['what an earlier filter dropped is lost', '...dropped,\n', ''],
      ['each filter sees everything', 'const why = reasons(kept)', 'const why = reasons(examples)'],
    ],
  ),
  mutantsOf(
    'src/data/curation/chains.ts',
    ['data/curation'],
    [
      ['images are not looked at', '...images.map(imageKey)]', ']'],
      ['a word counts every time', 'left.set(w, n - 1)', 'left.set(w, n)'],
      ['the share of the answer', 'shared / all.length', 'shared / Math.max(1, words(answer).length)'],
      ['two boxes are one', 'boxes.length !== 1', 'boxes.length < 1'],
      ['those over the limit are kept, the others dropped', 'drawn.slice(limit)', 'drawn.slice(0, limit)'],
      ['an open box is one', 'if (!closed) return', 'if (from < 0) return'],
      [
        'the limit is that of all',
        '(most * examples.length) / Math.max(1, bins.size)',
        'most * examples.length',
      ],
      [
        'what is drawn hangs on the order',
        '.sort((a, b) => a.rank - b.rank || a.i - b.i)',
        '.sort((a, b) => a.i - b.i)',
      ],
    ],
  ),
  mutantsOf(
    'src/data/curation/free-response.ts',
    ['data/free-response'],
    [
      ['a letter may be an answer', 'if (isLetter(text)) return', 'if (text === "?") return'],
      ['the letter stays', 'box === undefined ? text :', 'box === undefined ? given :'],
      ['options that are alike do', 'if (twin !== undefined)', 'if (twin === "?")'],
      ['any question is one', 'if (need !== undefined)', 'if (need === undefined && request === "")'],
    ],
  ),
  mutantsOf(
    'src/data/rows/rows-of.ts',
    ['data/rows-of'],
    [
      ['a file without rows is passed over', 'if (none)', 'if (none && bad !== undefined)'],
      ['JSON that begins no list is none', 'beginsList(file) ? jsonList : jsonl', 'true ? jsonList : jsonl'],
      ['JSON beside rows is rows', 'others.length === 0 ? all : others', 'all'],
      ['what is said about data is data', ' && !aboutData.test(name)', ''],
      ['what is said about data hides folders', '      !aboutData.test(name) &&\n', ''],
      ['a first bad row has no file', 'bad.file === path ? ', 'true ? '],
      ['Arrow is anything', 'first === undefined && saved !== undefined', 'false'],
    ],
  ),
  mutantsOf(
    'src/data/given.ts',
    ['data/sources'],
    [['a stream is a record', "if (kindOf(source) === 'a stream')", 'if (false)']],
  ),
  mutantsOf(
    'src/run/bad-rows.ts',
    ['train/own-data'],
    [
      ['each of one kind is told', 'met <= mostAlike && ', ''],
      ['another number is another kind', "reason.replace(/\\d+/g, '0')", 'reason'],
      ['a report is always promised', 'reported && ', ''],
    ],
  ),
  mutantsOf(
    'src/data/row-columns.ts',
    ['data/chat'],
    [
      ['a column that is null is one', 'value != null && value', 'value'],
      ['an empty column is one', '=> saysSomething(row.columns[name])', '=> row.columns[name] != null'],
    ],
  ),
  mutantsOf(
    'src/data/row-media.ts',
    ['data/chat'],
    [['another place than the net is a path', '(?!file:)[a-z][a-z\\d+.-]*:', 'https?:']],
  ),
  mutantsOf(
    'src/train/own-data.ts',
    ['train/own-data'],
    [['a wrong path is the run’s fault', 'path !== undefined && e instanceof', 'false && e instanceof']],
  ),
  mutantsOf(
    'src/data/read-image.ts',
    ['data/read-image'],
    [
      ['a folder is no image of a known kind', 'at?.isDirectory() === true', 'false'],
      ['an empty file is no image of a known kind', 'size === 0', 'false'],
    ],
  ),
  mutantsOf(
    'src/data/rows/web-dataset.ts',
    ['data/web-dataset'],
    [
      ['hidden files are of a sample', '[^./][^/]*\\.[^/]*$', '[^/]*\\.[^/]*$'],
      ['names without a dot are samples', '[^./][^/]*\\.[^/]*$', '[^./][^/]*$'],
      ['what macOS adds is of a sample', '(MACOSX|[^/]*__)', '([^/]*__)'],
    ],
  ),
  mutantsOf(
    'src/data/rows/jsonl.ts',
    ['data/bad-rows'],
    [['an object over lines is not told apart', "&& !json.endsWith('}')", '&& false']],
  ),
  mutantsOf(
    'src/data/rows/json-list.ts',
    ['data/row-formats'],
    [
      [
        'a quote behind a backslash ends a text',
        'if (c === backslash) escaped = true',
        'if (false) escaped = true',
      ],
      ['brackets in texts count', 'if (c === quote) inText = true', 'if (false) inText = true'],
      ['an element ends at the first comma', 'if (opening.has(c)) depth++', 'if (c === open) depth++'],
      ['a place is behind the comma', 'end: begin + at }', 'end: begin + at + 1 }'],
      ['bytes of blocks before are not counted', '    begin += block.length\n', ''],
      ['what a block ended in is lost', '    parts.push(block.subarray(from))\n', ''],
      ['a list that is cut off is shorter', "if (where !== 'behind')\n", 'if (false)\n'],
      ['what follows a list is passed over', "if (where === 'behind')\n", 'if (false)\n'],
      ['an empty list has an element', 'row > 1 || c === comma || ', 'true || '],
      ['rows are counted from 0', 'let { row } = place', 'let row = place.row - 1'],
    ],
  ),
  mutantsOf(
    'src/data/rows/csv.ts',
    ['data/row-formats'],
    [
      ['tabs are no columns', "'\\t' : ','", "',' : ','"],
      ['places are counted from where a reading began', 'end: byte + info.bytes', 'end: info.bytes'],
      ['lines are counted from where a reading began', 'last = line + info.lines', 'last = info.lines'],
      ['a line is that at which its row ends', 'line - inside', 'line'],
      ['a mark that says UTF-8 is a letter', '=== 0 ? 3 : 0', '=== 0 ? 0 : 0'],
      [
        'a name twice is one column',
        "name !== '' && names.right.indexOf",
        "name === '' && names.right.indexOf",
      ],
      ['a column without a name is kept', "name === '' ? [] :", 'name === undefined ? [] :'],
      ['too few values are filled', 'fields.length !== names.length', 'fields.length > names.length'],
    ],
  ),
  mutantsOf(
    'src/data/rows/class-folders.ts',
    ['data/rows-of'],
    [
      ['hidden images are rows', " && !name.split(sep).some((part) => part.startsWith('.'))", ''],
      ['sizes are no part of what a run reads', '${seen(join(folder, image))?.size}', ''],
      ['a link to nowhere ends the reading', 'statSync(path, { throwIfNoEntry: false })', 'statSync(path)!'],
      ['splits are classes', 'if (splits.length > 0)\n', 'if (false)\n'],
      ['a place is passed over', 'images.slice(place.row)', 'images.slice(0)'],
      ['paths are from the class on', 'file: join(folder, label)', 'file: join(folder, label, image)'],
    ],
  ),
  mutantsOf(
    'src/data/shuffled.ts',
    ['data/shuffled'],
    [
      ['every block has one order', "random(seed, 'shuffled', block)", "random(seed, 'shuffled', 0)"],
      ['a place is one too early', '{ block, given: i + 1,', '{ block, given: i,'],
      [
        'a block that goes on begins again',
        'for (let i = given; i < order.length; i++)',
        'for (let i = 0; i < order.length; i++)',
      ],
      ['the next block begins where this one did', 'begin = next\n', ''],
      ['of a block that goes on the next one has a beginning too', 'block++, given = 0)', 'block++)'],
      ['the source stays open', 'await stream.return?.()', ''],
      ['a place beyond the buffer', ' || place.given >= buffer', ''],
    ],
  ),
  mutantsOf(
    'src/data/mixed.ts',
    ['data/mixed'],
    [
      [
        'what is drawn is drawn again',
        'for (let index = place.index; ; index++)',
        'for (let index = 0; ; index++)',
      ],
      ['one place for all', 'places: [...places] }', 'places }'],
      ['places of others are lost', 'source.open(places[i]?.at)', 'source.open(places[0]?.at)'],
      ['shares are even', 'weighted(which, weights)', 'weighted(which, weights.map(() => 1))'],
      ['a place is of the same index', 'index: index + 1', 'index'],
      ['sources stay open', 'for (const s of streams) await s.return?.()', ''],
      [
        'shares are no part of what it says',
        'share: s.share, source: s.source.config',
        'share: 1, source: s.source.config',
      ],
      ['a place of fewer sources', ' || place.places.length !== shares.length', ''],
    ],
  ),
].flat()
