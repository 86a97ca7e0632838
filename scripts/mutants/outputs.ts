// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what stands in quotes is source
import { mutantsOf } from './mutant.ts'

/** Bugs of what leaves a run and of what comes into it: exports, forks, logs, reports, the user's data. */
export const outputs = [
  mutantsOf(
    'src/train/export-hugging-face.ts',
    ['cli/export'],
    [
      [
        'an encoder keeps its prefix',
        'taken.every((key) => key.startsWith(encoderPrefix))',
        'taken.length < 0',
      ],
      [
        'a joined model loses its prefix',
        'taken.every((key) => key.startsWith(encoderPrefix))',
        'taken.some((key) => key.startsWith(encoderPrefix))',
      ],
      ['the end of a turn is the padding', 'eos_token_id: text?.end,', 'eos_token_id: text?.pad,'],
      [
        'the chat template is left out',
        "if (text.template !== undefined) files.set('chat_template.jinja', text.template)",
        '',
      ],
    ],
  ),
  mutantsOf(
    'src/train/export-graphs.ts',
    ['cli/export'],
    [
      [
        'trained weights begin fresh',
        'values.get(spec.key)?.data ?? freshState(spec, seed)',
        'freshState(spec, seed)',
      ],
      ['the limit of one file is not handed on', '...present({ inside }),', ''],
      [
        'what the stage adds is called unused',
        'unused.filter((key) => !program.states.has(key))',
        'unused.filter((key) => program.states.has(key))',
      ],
    ],
  ),
  mutantsOf(
    'src/train/exported-model.ts',
    ['cli/export'],
    [
      [
        'missing weights go through',
        "if (placement._tag === 'Left') throw placement.left\n  return placement.right",
        'return (placement as { readonly right: Placement }).right',
      ],
      [
        'a function that trains changes nothing',
        'changes: variant.next.size > 0',
        'changes: variant.next.size < 0',
      ],
    ],
  ),
  mutantsOf(
    'src/serve/chat-body.ts',
    ['serve/serve'],
    [
      ['of frames only the first is seen', 'frames.length > 1 ? { frames } :', ''],
      [
        'the system may show',
        "own !== 'user' && shows !== undefined",
        "own === 'assistant' && shows !== undefined",
      ],
    ],
  ),
  mutantsOf(
    'src/serve/written.ts',
    ['serve/serve'],
    [
      ['special tokens are text', 'skipSpecial ? hiddenIds(processor) : undefined', 'undefined'],
      [
        'nobody sees special tokens',
        'skipSpecial ? hiddenIds(processor) : undefined',
        'hiddenIds(processor)',
      ],
      ['a thought is part of the answer', 'id !== open && id !== close', 'true'],
    ],
  ),
  mutantsOf(
    'src/serve/text-stream.ts',
    ['serve/text-stream'],
    [['hidden tokens are text', 'stopped || hidden.has(id)', 'stopped']],
  ),
  mutantsOf(
    'src/serve/batch.ts',
    ['serve/batch', 'serve/serve'],
    [
      ['numbers begin again with each call', 'row.job.uniforms(row.ids.length + i)', 'row.job.uniforms(i)'],
      [
        'stop ids are ignored',
        'token.id === processor.end || stopIds.includes(token.id)',
        'token.id === processor.end',
      ],
      ['the prompt is not penalised', 'new Set(job.prompt.ids)', 'new Set<number>()'],
      [
        'an answer goes on beyond the context',
        'Math.min(job.sampling.maxNewTokens, context - job.prompt.ids.length)',
        'job.sampling.maxNewTokens',
      ],
      [
        'who went away keeps the row',
        'if (row?.to.closed === true) working[at]',
        'if (row?.to.closed === true) working[-1]',
      ],
      ['who went away while waiting is read', 'if (at >= 0) waiting.splice(at, 1)', ''],
      [
        'a failure is the first’s alone',
        'for (const asked of all) asked?.to.error(e)',
        'all[0]?.to.error(e)',
      ],
      ['those who wait hear nothing', ', ...waiting.splice(0)]', ']'],
      ['what is written is not penalised', 'row.seen?.add(token.id)', ''],
      ['penalty of the next row', 'seen[at * vocab + id] = 1', 'seen[id] = 1'],
      ['the temperature is not its inverse', '(t === 0 ? 1 : 1 / t)', '(t === 0 ? 1 : t)'],
      ['filters are those of nobody', 'working.every(plainly)', 'working.some(plainly)'],
      [
        'the next token goes where the last stood',
        'row.job.prompt.ids.length + row.ids.length - 1',
        'row.job.prompt.ids.length + row.ids.length - 2',
      ],
      [
        'one that tells none has all tell',
        'working.every((row) => !row?.job.top)',
        'working.some((row) => !row?.job.top)',
      ],
      [
        'the likeliest at another temperature',
        'likeliest(logits, sampling.temperature, top)',
        'likeliest(logits, 1, top)',
      ],
      ['the length ends one too late', 'row.ids.length >= row.most', 'row.ids.length > row.most'],
      [
        'an answer that ends at its length is cut',
        "ended ? 'end' : row.ids.length >= row.most ? 'length' : undefined",
        "row.ids.length >= row.most ? 'length' : ended ? 'end' : undefined",
      ],
      ['images do not count for the size', '&& s.images >= tilesOf(processor, p.images)', ''],
      ['the largest size is always taken', 'shapes.find((s)', 'shapes.findLast((s)'],
    ],
  ),
  mutantsOf(
    'src/train/fork.ts',
    ['cli/fork'],
    [
      ['everything is taken under other settings', 'return why === undefined\n', "return why !== ''\n"],
      [
        'after a stage the same stage again',
        '{ begins: index + 1, everything: false }',
        '{ begins: index, everything: false }',
      ],
      ['the first checkpoint in place of the last', 'return points.at(-1) ??', 'return points.at(0) ??'],
      [
        'another model goes through',
        'if (is !== undefined && is.join() !== here.join())',
        'if (is !== undefined && is.length < 0)',
      ],
      ['moments are weights', '{ ...all, keys: all.keys.filter(isWeightKey) }', 'all'],
      ['a folder with an @ is cut', 'cut < 1 || isRun(word)', 'cut < 1'],
      ['what a stage began with is left behind', 'if (before === undefined) return own', 'return own'],
      ['another graph is the same', 'graph !== undefined && graph !== fingerprint', 'graph === fingerprint'],
      ['of two checkpoints the first', 'if (ofStep.length > 1) return', 'if (ofStep.length > 9) return'],
      ['what a stage has of its own must be there', ' && stage.own?.has(key) !== true)', ')'],
    ],
  ),
  mutantsOf(
    'src/train/own-data.ts',
    ['train/own-data'],
    [
      ['strict goes on', 'if (strict) throw row', ''],
      ['the file’s own path goes before --data', 'path ?? otherwise', 'otherwise ?? path'],
      ['rows are told twice', 'waiting = []\n      return told', 'return told'],
      ['a run that goes on tells them again', 'if (!known.has(place(row)))', 'if (known.size >= 0)'],
      ['rows met again are counted again', 'before + data.bad.count - again', 'before + data.bad.count'],
      ['a run that fails tells of none', 'defer(() => from([...told(), ...number()])),', ''],
    ],
  ),
  mutantsOf(
    'src/cli/exported.ts',
    ['cli/export'],
    [
      [
        'the first stage in place of the last',
        'const stage = named ?? ended.at(-1)',
        'const stage = named ?? ended.at(0)',
      ],
      ['the averages are the weights', 'r.averages ? averagesFile : weightsFile', 'weightsFile'],
      [
        'a stage that has not ended goes through',
        'if (named !== undefined && !ended.includes(named))',
        'if (named !== undefined && named === String())',
      ],
      ['the run’s settings are forgotten', 'settings: manifest.settings ?? {},', 'settings: {},'],
      ['a changed graph goes through', 'now === program\n', 'now !== undefined\n'],
      ['a short pass is a whole one', 'quick: manifest.quick ?? false', 'quick: false'],
      ['the run’s data are forgotten', 'data: { path: manifest.data }', 'data: { path: undefined }'],
      ['a folder’s end is its padding', 'end: tokenizer.eos', 'end: tokenizer.pad'],
      ['--stage of a folder is ignored', "r.stage !== undefined ? 'stage' : ", ''],
      [
        'a stage that the file has no more is its last',
        'experiment.stages.find((s) => s.name === name)',
        'experiment.stages.find((s) => s.name === name) ?? experiment.stages.at(-1)',
      ],
    ],
  ),
  mutantsOf(
    'src/cli/fork.ts',
    ['cli/fork'],
    [['a fork that goes on needs the other run', 'there?.run === shown &&', 'there?.run === `${shown}#` &&']],
  ),
  mutantsOf(
    'src/log/scalars.ts',
    ['log/log'],
    [
      ['each stage counts from its beginning', 'told: { step: stage.steps + step,', 'told: { step,'],
      ['a stage before takes no time', 'last.seconds + last.spent]', 'last.seconds]'],
      [
        'a stage that goes on begins after itself',
        'if (there !== undefined) return { stages: c.stages.filter((s) => s.index <= there.index) }',
        '',
      ],
      ['the share of wrong answers', 'e.correct / e.total', '(e.total - e.correct) / e.total'],
    ],
  ),
  mutantsOf(
    'src/log/sink.ts',
    ['log/log'],
    [
      [
        'steps that are done again come twice',
        "const isAgain = e.type === 'step' && told.step <= last",
        'const isAgain = told.step < 0',
      ],
      ['of a step that is done again the first is kept', 's.step < told.step)', 's.step <= told.step)'],
      ['what an earlier start wrote is lost', 'scalarsOf(run.earlier)', 'scalarsOf([])'],
      ['a file that breaks stops the run', 'return of<RunEvent[]>(', 'throw new Error(why), of<RunEvent[]>('],
      [
        'the event is lost where the file breaks',
        'no longer written: ${why}` }, e)',
        'no longer written: ${why}` })',
      ],
      ['the file is never closed', 'finalize(() => {\n          file?.close()', 'finalize(() => {'],
    ],
  ),
  mutantsOf(
    'src/log/tensorboard.ts',
    ['log/log'],
    [
      ['a checksum that is not masked', '+ 0xa282ead8) >>> 0', ') >>> 0'],
      ['the length without its checksum', 'masked(out.subarray(0, 8)), 8)', 'masked(bytes), 8)'],
      ['times begin at 0', 'event(startedAt + s.seconds, s.step', 'event(s.seconds, s.step'],
      ['the file before stays', 'for (const f of before) rmSync(join(folder, f), { force: true })', ''],
    ],
  ),
  mutantsOf(
    'src/log/trackio.ts',
    ['log/log'],
    [
      ['NaN is a word', 'x === undefined || !Number.isFinite(x)', 'x === undefined'],
      [
        'a new metric has no column',
        'Object.keys(s.values).every((tag) => columns.includes(tag))',
        'columns.length > 0',
      ],
      ['a comma in a name makes a column', '/[",\\r\\n]/.test(text)', "text === '#'"],
    ],
  ),
  mutantsOf(
    'src/report/compare/comparison.ts',
    ['report/compare'],
    [
      [
        'settings that one run lacks are left out',
        'new Set(named.flatMap((v) => Object.keys(v)))',
        'new Set(Object.keys(named[0] ?? {}))',
      ],
      [
        'stages are met by their places',
        'areNames ? Object.fromEntries',
        'areNames && value.length < 0 ? Object.fromEntries',
      ],
      [
        'settings that are the same are shown',
        'if (values.every((v) => isDeepStrictEqual(v, values[0]))) return []',
        'if (values.length === 0) return []',
      ],
      [
        'stages of the first run alone',
        'new Set(runs.flatMap((r) => r.view.stages.map((s) => s.stage)))',
        'new Set(runs.slice(0, 1).flatMap((r) => r.view.stages.map((s) => s.stage)))',
      ],
      [
        'labels are the last folder alone',
        'while (new Set(labels).size < labels.length &&',
        'while (new Set(labels).size < 0 &&',
      ],
    ],
  ),
  mutantsOf(
    'src/report/compare/charts.ts',
    ['report/compare'],
    [
      [
        'units share an axis',
        'groups.set(s.unit, [...(groups.get(s.unit) ?? []),',
        "groups.set('', [...(groups.get('') ?? []),",
      ],
      ['the wrong run’s colour', 'drawn[i]!.run, 2)', 'drawn[0]!.run, 2)'],
    ],
  ),
  mutantsOf(
    'src/report/compare/page.ts',
    ['report/compare'],
    [
      [
        'a difference of three runs',
        'const twoOf = c.runs.length === 2 && shares.length > 0',
        'const twoOf = shares.length > 0',
      ],
      ['the difference the wrong way round', 'wilsonDifference(a, b)', 'wilsonDifference(b, a)'],
      ['a run is compared with itself', 'if (twice >= 0)', 'if (twice > folders.length)'],
      ['losses in other units are compared', 's.unit === first.unit', 's.unit !== undefined'],
      [
        'a difference to the wrong side',
        'signed(loss - before, significant)',
        'signed(before - loss, significant)',
      ],
    ],
  ),
  mutantsOf(
    'src/cli/engine-options.ts',
    ['cli/devices', 'cli/compile', 'cli/stored-weights'],
    [
      ['a compiler is of onnx', "compiles ? 'tensorflow' : stored", "compiles ? 'onnx' : stored"],
      ['stored is of tensorflow', "stored ? 'onnx' : wanted", "stored ? 'tensorflow' : wanted"],
      ['devices only where xla is named', "wanted === 'auto' || wanted === 'xla'", "wanted === 'xla'"],
      ['devices are one', 'xlaEngine({ devices })', 'xlaEngine({ devices: 1 })'],
      ['what an engine is told is passed over', '(engine) => ({ ...picked, engine })', '(_engine) => picked'],
    ],
  ),
].flat()
