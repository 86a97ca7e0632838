// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what stands in quotes is source
import { mutantsOf } from './mutant.ts'

/** Bugs of `src/formats`. */
export const formats = [
  mutantsOf(
    'src/formats/chat-message.ts',
    ['formats/tokenizer'],
    [
      ['an answer begins as a text does', 'of behind ?? tokenizer.encode(run)', 'of tokenizer.encode(run)'],
      ['nothing stands before an answer', 'text: piece.text.slice(-reach)', "text: ''"],
      ['a token across the border is of the answer', 'alone.every((id, i) => both[i] === id)', 'true'],
      ['behind an opening that ends with a space a text begins', ' ?? behindOf(tokenizer, newline, run)', ''],
    ],
  ),
  mutantsOf(
    'src/formats/hub/fetch-files.ts',
    ['formats/hub'],
    [
      ['a file in place of the folder is met when all was asked for', 'await placeAt(folder)', 'undefined'],
      ['a folder stays behind what did not come', 'if (first !== undefined) await', 'if (false) await'],
    ],
  ),
  mutantsOf(
    'src/formats/hub/hub-shelf.ts',
    ['formats/hub'],
    [
      ['a listing may be without an end', '++pages > mostPages', 'pages > mostPages'],
      ['a page in place of an answer is a cut connection', "codeOf(e) !== '' || r.signal.aborted", 'true'],
      ['an address that is none is asked again', "if (code === 'ERR_INVALID_URL')", 'if (false)'],
    ],
  ),
  mutantsOf(
    'src/formats/safetensors.ts',
    ['formats/safetensors', 'formats/pieces'],
    [
      ['every piece read from the beginning', 'from + at)', 'from)'],
      ['every piece read to the beginning', 'handle.read(bytes, at,', 'handle.read(bytes, 0,'],
      ['every piece written from the beginning', 'handle.write(bytes, at,', 'handle.write(bytes, 0,'],
      ['a file changed at the same size is not seen', ' || now.mtimeMs !== was.mtimeMs', ''],
      ['the header’s bytes are part of the data', 'header.dataStart + info.begin', 'info.begin'],
      ['the file stays open', 'return await body(handle)', "return await body(await open(file, 'r'))"],
    ],
  ),
  mutantsOf(
    'src/formats/replace-file.ts',
    ['formats/safetensors', 'formats/pieces'],
    [['half a file stays behind an error', 'await rm(temporary, { force: true })', '']],
  ),
  mutantsOf(
    'src/formats/safetensors-header.ts',
    ['formats/safetensors'],
    [
      ['a hole between tensors is let through', 'if (begin > at)', 'if (begin < at)'],
      ['a tensor beyond the file’s end is let through', 'if (end > dataBytes)', 'if (begin > dataBytes)'],
      ['the length big-endian', 'getBigUint64(0, true)', 'getBigUint64(0, false)'],
      ['a tensor’s bytes need not be its shape’s', 'if (end - begin !== bytes)', 'if (end - begin < bytes)'],
    ],
  ),
  mutantsOf(
    'src/formats/safetensors-bytes.ts',
    ['formats/safetensors'],
    [
      ['the header unpadded', 'Math.ceil(json.length / 8) * 8', 'json.length'],
      ['tensors in the order given', '|| compare(a, b),', '|| 0,'],
      ['offsets not moved on', 'at += bytes\n', 'at = bytes\n'],
    ],
  ),
  mutantsOf(
    'src/formats/dtype.ts',
    ['formats/safetensors'],
    [
      ['bfloat16: ties away from even', 'x + 0x7fff + ((x >>> 16) & 1)', 'x + 0x8000'],
      ['float16: ties up', 'rest > half || (rest === half && (h & 1) === 1)', 'rest >= half'],
      [
        'a large int64 loses its upper half',
        'if (view.getInt32(8 * i + 4, true) !== low >> 31)',
        'if (low !== low)',
      ],
      ['an unaligned view', 'bytes.byteOffset % size === 0 ? bytes', 'size > 0 ? bytes'],
    ],
  ),
  mutantsOf(
    'src/formats/safetensors-index.ts',
    ['formats/safetensors'],
    [
      ['a shard has room for ever', 'room -= size', 'room -= 0'],
      ['a shard is never full to the brim', 'size <= room', 'size < room'],
      ['shards counted from 0', 'pad(i + 1)', 'pad(i)'],
      [
        'the single file beside the shards stays',
        'TE.chain(() => remove(file))',
        'TE.chain(() => TE.of(undefined))',
      ],
    ],
  ),
  mutantsOf(
    'src/formats/tokenizer.ts',
    ['formats/tokenizer'],
    [
      ['special tokens around every text', 'addSpecial = false', 'addSpecial = true'],
      ['special tokens never left out', '!(skipSpecial && specialIds.has(id))', 'true'],
      ['added tokens not counted', 'Math.max(vocabSize, id + 1)\n\n', 'Math.max(vocabSize, id)\n\n'],
      [
        'the configuration’s template goes before the file',
        'chatTemplate ?? defaultTemplate(config.right.chat_template)',
        'defaultTemplate(config.right.chat_template) ?? chatTemplate',
      ],
      [
        'special tokens are found in normalized text',
        'x.normalized ?? x.special !== true',
        'x.normalized ?? x.special === true',
      ],
      [
        'normalized tokens are looked for as they are written',
        '[after ? words.normalize(x.content) : x.content, x]',
        '[x.content, x]',
      ],
      [
        'pieces that are read otherwise become one',
        'else if (apart && before.special !== part.special) out.push(part)\n',
        '',
      ],
      [
        'a text joined to what is parsed is parsed',
        "before.special === part.special ? part.special : 'text'",
        'part.special',
      ],
      ['an id may be as large as it likes', 'n < 2 ** 31', 'n < 2 ** 53'],
      [
        'an id without a token is the unknown one',
        '(id) => reader.tokenOf(id) !== undefined && !',
        '(id) => !',
      ],
      ['the template’s file is lost', "{ 'chat_template.jinja': chatTemplate }", '{}'],
    ],
  ),
  mutantsOf(
    'src/formats/chat-sail-vl2.ts',
    ['formats/tokenizer'],
    [
      ['every image has the tiles of the first', 'placeholder(tiles[i - 1]!', 'placeholder(tiles[0]!'],
      ['a later turn takes the first turn’s images', 'tiles[used++]!', 'tiles[n - 1]!'],
      [
        'the user’s words are learnt',
        "const learn = role === 'assistant'",
        "const learn = role !== 'assistant'",
      ],
      ['a turn’s end is never learnt', "control('<|im_end|>', learn)", "control('<|im_end|>')"],
    ],
  ),
  mutantsOf(
    'src/formats/jinja.ts',
    ['formats/jinja', 'data/published-templates'],
    [
      [
        'strip takes away one end',
        "strip: method('strip', true, true)",
        "strip: method('strip', true, false)",
      ],
      [
        'lstrip and rstrip changed places',
        "lstrip: method('lstrip', true, false)",
        "lstrip: method('lstrip', false, true)",
      ],
      [
        'the characters to strip are not looked at',
        'chars == null ? blanks : new Set(String(chars))',
        'blanks',
      ],
      ['the library’s strip stays', '  rewrite(template.parsed)\n', ''],
      [
        'a strip inside a strip is the library’s',
        'for (const key of Object.keys(x)) rewrite(x[key])',
        "for (const key of Object.keys(x)) if (key !== 'args') rewrite(x[key])",
      ],
      ['trim of nothing is an error', "(text ?? '', chars)", '(text, chars)'],
    ],
  ),
  mutantsOf(
    'src/formats/hub/fetch-dataset.ts',
    ['formats/hub'],
    [
      ['hidden files come too', '!isHidden(f.path)', 'true'],
      ['a folder is no pattern', '(/.*)?$`', '$`'],
      ['a star goes through folders', "'[^/]*' : '.*'", "'.*' : '.*'"],
      ['two stars stay in a folder', "'[^/]*' : '.*'", "'[^/]*' : '[^/]*'"],
      ['a pattern that names nothing is passed over', 'idle !== undefined) {', 'false) {'],
    ],
  ),
  mutantsOf(
    'src/formats/tokenizer-words.ts',
    ['formats/tokenizer', 'formats/pieces', 'formats/untrusted'],
    [
      ['every stretch begins a text', 'section_index: atBegin ? 0 : 1', 'section_index: 0'],
      ['no stretch begins a text', 'section_index: atBegin ? 0 : 1', 'section_index: 1'],
      ['bytes without a token for one of them', 'bytes && spelled.every(known) ? spelled', 'bytes ? spelled'],
      [
        'unknown characters are each unknown',
        '} else unknown += token',
        '} else {\n      unknown = token\n      flush()\n    }',
      ],
      ['the last unknown is lost', '  flush()\n  return out', '  return out'],
      [
        'what is unknown vanishes',
        'model.tokens_to_ids.get(token) ?? unknown)',
        'model.tokens_to_ids.get(token))',
      ],
      ['digits are one by one', "individual_digits === true ? '\\\\p{N}' : '\\\\p{N}+'", "'\\\\p{N}'"],
      ['digits are together', "individual_digits === true ? '\\\\p{N}' : '\\\\p{N}+'", "'\\\\p{N}+'"],
      ['white space is JavaScript’s', "if (type === 'Whitespace') return unicodeWhitespace\n", ''],
      [
        'white space alone is JavaScript’s',
        "if (type === 'WhitespaceSplit') return found(",
        "if (type === 'WhitespaceSplit_') return found(",
      ],
      ['a sequence is as it is', 'pretokenizers: pretokenizers.map(withUnicode)', 'pretokenizers'],
      ['the unknown token is taken away too', ' || token === model.unk_token', ''],
      [
        'ids of a list move',
        'ids.has(id) ? [`\\ufdd0${id}\\ufdd0`, score] : [token, score]',
        '[token, score]',
      ],
      ['byte-order marks are dropped', 'keepMarks(reader.decoder)\n', ''],
      ['byte-order marks inside a sequence are dropped', 'decoder?.decoders?.forEach(keepMarks)', ''],
      [
        'what comes after comes before',
        'before: idsOf(around.slice(0, at))',
        'before: idsOf(around.slice(at + 1))',
      ],
      [
        'of two tokens of one text one is read',
        'if (words[token] !== id) others.set(id, words[token]!)\n',
        '',
      ],
      ['the size is a count', 'size = Math.max(size, id + 1)', 'size++'],
      [
        'an added token is read as the vocabulary has it',
        'for (const { id, content } of added_tokens) tokens.set(id, content)\n',
        '',
      ],
      [
        'the word level’s unknown is not known',
        "model.type === 'WordLevel' && model.unk_token != null",
        'false',
      ],
    ],
  ),
].flat()
