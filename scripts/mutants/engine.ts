// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what stands in quotes is source
import { mutantsOf } from './mutant.ts'

/** Bugs of `src/engine`. */
export const engine = [
  mutantsOf(
    'src/engine/lowering.ts',
    ['engine/loop'],
    [['a loop is emitted for each result', 'known.get(names) ?? emit', 'emit']],
  ),
  mutantsOf(
    'src/engine/tensorflow/compiled.ts',
    ['engine/tensorflow-compiled'],
    [
      ['a state takes an output’s value', 'const at = lowered.outputs.length + i', 'const at = i'],
      ['all is compiled for a processor', 'utf8.encode(platform.toUpperCase())', "utf8.encode('CPU')"],
      [
        'a function calls the first one’s',
        'const called = `compiled_${index}`',
        'const called = `compiled_${Math.min(index, 0)}`',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/tensorflow/cuda.ts',
    ['engine/tensorflow-cuda'],
    [
      ['the user’s own folder is overruled', 'XLA_FLAGS.includes(flag)', 'XLA_FLAGS === flag'],
      ['every library opens', 'return /did not self-register/.test(why)', 'return /./.test(why)'],
    ],
  ),
  mutantsOf(
    'src/engine/tensorflow/pages.ts',
    ['engine/tensorflow-pages'],
    [
      ['nothing is given back', 'if (resident > 0) madvise', 'if (resident < 0) madvise'],
      ['what was written would be lost', " || kilobytes(lines, 'Anonymous') !== 0", ''],
      ['what can be written is given back', " || allowed.includes('w')", ''],
      ['pages are asked for in place of given back', 'dontNeed = 4', 'dontNeed = 3'],
      ['every library is given back', '!path.test(file) || ', ''],
    ],
  ),
  mutantsOf(
    'src/engine/tensorflow/load.ts',
    ['engine/tensorflow-load'],
    [
      ['it is loaded with two numbers of threads', 'wanted === first.right.threads', 'true'],
      ['the user’s own number of threads is lost', 'else process.env[v] ??=', 'else process.env[v] ='],
      ['threads that are asked for are not made', 'process.env[v] = String(wanted)', 'void wanted'],
      ['nothing is said any more once it is loaded', 'Object.assign(console, { log, info, warn })', ''],
      ['the user’s own log is lost', "TF_CPP_MIN_LOG_LEVEL ??= '3'", "TF_CPP_MIN_LOG_LEVEL = '3'"],
      ['it is loaded again', 'if (loaded !== undefined) return', 'if (false) return'],
    ],
  ),
  mutantsOf(
    'src/engine/tensorflow/session.ts',
    ['engine/tensorflow-cuda'],
    [['every call may round to TF32', 'tf32?.(this.#tf32)', 'tf32?.(true)']],
  ),
  mutantsOf(
    'src/engine/values.ts',
    ['engine/onnx-session', 'engine/graphs'],
    [
      ['ones begin as zeros', "if (init.kind === 'ones') return 1", "if (init.kind === 'ones') return 0"],
      [
        'a value of another dtype goes through',
        'if (value.dtype !== dtype)',
        'if (value.dtype === undefined)',
      ],
      [
        'a state of another shape goes through',
        'const fault = !sameShape(value.shape, sizes(spec.axes))',
        'const fault = value.shape.length !== spec.axes.length',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/onnx/adamw.ts',
    ['engine/onnx-adamw', 'engine/graphs'],
    [['the plain loop without ε', 'Math.sqrt(v) * scale + epsilon', 'Math.sqrt(v) * scale']],
  ),
  mutantsOf(
    'src/engine/adamw-updates.ts',
    ['engine/onnx-adamw'],
    [
      [
        'the clip’s factor is lost',
        'return { gradient: a, factor: b }',
        'return { gradient: a, factor: undefined }',
      ],
      [
        'operands of an update need not agree',
        'x === others[i] || (i < 3 && keyOf(x) === keyOf(others[i]))',
        'true',
      ],
      ['the weight of another is moved', 'keyOf(parameter) !== key || ', ''],
      ['any part will do for a moment', 'partOf(t) !== part', 'partOf(t) === undefined'],
      [
        'a factor that stands first is lost',
        '{ gradient: b, factor: a }',
        '{ gradient: b, factor: undefined }',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/onnx/adamw-kernel.ts',
    ['engine/onnx-adamw'],
    [
      ['the decay not by the rate', '1 - now.learningRate * decay', '1 - decay'],
      [
        'the second block’s moments lie over the first’s',
        'ms.set(n === block ? m : m.subarray(0, n), start)',
        'ms.set(n === block ? m : m.subarray(0, n), 0)',
      ],
      ['the tail of a block is left out', 'step(n * 4,', 'step((n & ~3) * 4,'],
      ['the second moment’s correction forgotten', '1 / Math.sqrt(now.correction2)', '1'],
    ],
  ),
  mutantsOf(
    'src/engine/onnx/overwrite.ts',
    ['engine/onnx-overwrite', 'models/generate'],
    [
      ['always at the state’s beginning', 'const start = at * l.block', 'const start = 0'],
      ['the first new value for every row', 'v + i * l.valueStrides[depth]!', 'v'],
      ['everywhere', 'if (where[w] === 0) return', ''],
    ],
  ),
  mutantsOf(
    'src/engine/onnx/session.ts',
    ['engine/backend', 'engine/onnx-session', 'engine/lifetime', 'engine/graphs'],
    [
      ['two outputs share their memory', "s.from !== 'output' || given.has(data)", "s.from !== 'output'"],
      ['a state is read while it changes', "s.from === 'state' ? look(s).slice() : look(s)", 'look(s)'],
      ['native sessions are never released', 'all.map(async (n) => n.release())', '[]'],
      [
        'only the first native session is released',
        'all.map(async (n) => n.release())',
        '[all[0]?.release()]',
      ],
      ['release is not waited for', 'await Promise.allSettled(all', 'Promise.allSettled(all'],
      ['a native session for each call', 'compiled.set(variant, made.right)', ''],
      [
        'reading hands out the state itself',
        'states.get(s.key)?.data.slice() ??',
        'states.get(s.key)?.data ??',
      ],
      ['a state keeps the caller’s memory', 'given ? unshared(v.data) : v.data.slice()', 'v.data'],
    ],
  ),
  mutantsOf(
    'src/engine/values.ts',
    ['engine/backend', 'engine/graphs'],
    [
      ['the last variant always', 'named.find(fits)', 'named.find((v) => fits(v) || v !== named[0])'],
      [
        'a snapshot of another program restores what it has',
        'return missing.length === 0',
        'return missing.length < 99',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/onnx/session.ts',
    ['engine/onnx-cached-attention'],
    [
      ['a weight that is written stays what it was', 'compiled.delete(variant)', ''],
      ['weights that functions change are constants', 'lasting.has(key) ?', 'true ?'],
    ],
  ),
  mutantsOf(
    'src/engine/onnx/bound.ts',
    ['engine/onnx-cached-attention'],
    [
      ['a state that is replaced stays what it was', 'lying.get(onnxName) === data', 'lying.has(onnxName)'],
      ['a result is the memory of the next one', '&& !kept.has(name)', ''],
      [
        'all parts compute the first one’s rows',
        'data.subarray(part * own, (part + 1) * own)',
        'data.subarray(0, own)',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/onnx/cached-attention.ts',
    ['engine/onnx-cached-attention'],
    [
      ['a row sees what it has not filled', "e.node('LessOrEqual'", "e.node('GreaterOrEqual'"],
      ['any cache is read whole', 'axes[2]!.size <= mostSlots &&', ''],
      ['a cache that is given out is written', 'return reads || given ?', 'return reads ?'],
      ['a cache that another reads is written', 'return reads || given ?', 'return given ?'],
      ['the place of the write does not matter', '        last?.place !== place ||\n', ''],
      [
        'every row has the first one’s place',
        'BigInt(i % 2 === 0 ? Math.floor(at / head) : at % head)',
        'BigInt(i % 2 === 0 ? 0 : at % head)',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/onnx/plan.ts',
    ['engine/lowering'],
    [
      ['a number behind a product is lost', 'productPlan(s.of, mode, s.factor)', 'productPlan(s.of, mode)'],
      ['one number of two counts', 'factor: factor * s.factor', 'factor: s.factor'],
    ],
  ),
  mutantsOf(
    'src/engine/xla/index.ts',
    ['engine/xla/session'],
    [
      [
        'each thread opens a client',
        'present({ plugin: options.plugin, client: options.client })',
        'present({ plugin: options.plugin })',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/xla/kept-programs.ts',
    ['engine/xla/pjrt/client'],
    [
      ['what is used stays old', 'await utimes(path, new Date(), new Date()).catch(() => undefined)', ''],
      ['the newest go', 'b.used - a.used', 'a.used - b.used'],
    ],
  ),
  mutantsOf(
    'src/engine/xla/kept-programs.ts',
    ['engine/xla/lowering'],
    [["a program's lines are a part of it", 'update(withoutPlaces(text))', 'update(text)']],
  ),
  mutantsOf(
    'src/engine/xla/builder.ts',
    ['engine/xla/lowering'],
    [['the names of operations are places', '("[^"]*")', '()"[^"]*"']],
  ),
  mutantsOf(
    'src/engine/xla/filling.ts',
    ['engine/xla/session'],
    [['a state that is drawn is filled', 'repeated(spec)', '(repeated(spec) ?? 0)']],
  ),
  mutantsOf(
    'src/engine/xla/session.ts',
    ['engine/xla/session'],
    [
      ['what a state was stays', 'closeAll(states.get(key) ?? [])\n', ''],
      ['any number of calls is under way', 'while (underWay.size >= ahead)', 'while (underWay.size >= 99)'],
      ['closing waits for nothing', 'await Promise.allSettled(underWay)', ''],
      ['a call without outputs ends when it begins', 'if (count === 0) await', 'if (count < 0) await'],
      ['a state that was lost is given', ' && !found.some((a) => a.closed)', ''],
      ['what fills states stays', '} finally {\n        ready.right.executable.close()', '} finally {'],
      ['drawn states are said to be filled', 'uniform.map((s) => s.key)', 'specs.map((s) => s.key)'],
    ],
  ),
  mutantsOf(
    'src/engine/xla/session.ts',
    ['engine/xla/flags'],
    [
      ['a loop is as small as other calls', '(loops ? smallLoop : smallCall)', 'smallCall'],
      ['own flags overrule those that were given', '{ ...own, ...given }', '{ ...given, ...own }'],
    ],
  ),
  mutantsOf(
    'src/engine/worker/index.ts',
    ['engine/xla/ahead'],
    [
      ['what an earlier program has is compiled again', '!seen.has(v)', 'true'],
      ['ending ends one program alone', '      ended = true\n', ''],
      [
        'it is compiled in another precision',
        '...settingsOf(engine), ...present(options) }',
        '...settingsOf(engine) }',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/precision.ts',
    ['engine/session-faults'],
    [['what is no record of options is none', "kindOf(given) === 'a record'", 'true']],
  ),
  mutantsOf(
    'src/engine/precision.ts',
    ['engine/xla/session'],
    [['what is undefined takes away what was told', '...own, ...present(given)', '...own, ...given']],
  ),
  mutantsOf(
    'src/engine/options.ts',
    ['engine/session-faults'],
    [['what is no source of values is read', 'values instanceof Map || isSource(values)', 'true']],
  ),
  mutantsOf(
    'src/engine/loading.ts',
    ['engine/session-faults'],
    [
      ['what is no program is loaded', "checkProgram('load', program)", 'E.right(program)'],
      ['memory is not asked for', 'E.chain(() => fits(program, options, memoryFor(engine))),\n', ''],
    ],
  ),
  mutantsOf(
    'src/engine/precision.ts',
    ['engine/xla/ahead'],
    [
      [
        'a precision that is told later is forgotten',
        'compileAhead(programs, { ...options, ...present(given) })',
        'compileAhead(programs, given)',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/worker/index.ts',
    ['engine/xla/session'],
    [['a thread is sent what it could fill', '...(opened.right.fills', '...(opened.right.fills && false']],
  ),
  mutantsOf(
    'src/engine/worker/index.ts',
    ['engine/worker'],
    [
      ['each session starts a thread', 'waiting = { thread, clock }', ''],
      ['what was compiled quickly is told', 'if (times > 0) tell(true)', 'tell(true)'],
      ['what was compiled is never told as done', 'if (times > 0) tell(true)', ''],
      ['no rest is a rest', 'rest === 0 || ', ''],
      [
        'its seconds are milliseconds',
        '(performance.now() - began) / 1000, done',
        'performance.now() - began, done',
      ],
      ['every thread waits for a session', ' || waiting !== undefined', ''],
      ['a thread that rests keeps the process alive', '      clock.unref()\n', ''],
      ['two sessions are given one thread', 'waiting = undefined\n', ''],
      [
        'a dead thread is taken',
        'found?.thread.ended() === false ? found.thread : undefined',
        'found?.thread',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/ordered-mask.ts',
    ['engine/onnx-nodes', 'engine/xla/lowering'],
    [
      ['places that come twice are in order', 'x > from[i - 1]!', 'x >= from[i - 1]!'],
      ['other places are the same', 'x === to[i] &&', ''],
    ],
  ),
  mutantsOf(
    'src/engine/xla/attention.ts',
    ['engine/xla/lowering'],
    [
      ['what comes after is seen', 'places[0] === key && places[1] === token', 'places[0] !== undefined'],
      [
        'a mask with a hole is causal',
        '(data[row * size + column] !== 0) !==',
        '(row === column) && false !==',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/onnx/plan.ts',
    ['engine/onnx-nodes'],
    [
      ['a triangle of any size is a constant', 'if (n * n > largest) return undefined', ''],
      ['a triangle without its diagonal', '(lower ? c <= r : r <= c)', '(lower ? c < r : r <= c)'],
      [
        'one triangle is the other',
        'const lower = places[0] === column',
        'const lower = places[0] !== column',
      ],
      ['a product of two is a sum of squares', 'a === undefined || a !== b', 'a === undefined'],
      ['an element is taken from a place that may lie outside', '&&\n    isWithin(place, slot.size)', ''],
      ['what the others become need not be 0', '||\n    op.data.some((n) => n !== 0)', ''],
    ],
  ),
  mutantsOf(
    'src/engine/onnx/session.ts',
    ['optim/step'],
    [['the clip’s factor is lost', 'u.factor === undefined ? 1 : scalar(u.factor)', '1']],
  ),
  mutantsOf(
    'src/engine/backend.ts',
    ['engine/backend'],
    [
      [
        'a turn that was closed before it began runs',
        'if (closed)\n            return left',
        'if (!closed && closed)\n            return left',
      ],
      [
        'what was read ahead outlives a call',
        '          states.forget()\n          const given',
        '          const given',
      ],
      [
        'what a call writes is filled once more',
        'filled = states.filled(variant.next.keys())',
        'filled = []',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/held-states.ts',
    ['engine/backend'],
    [
      ['the seed is ignored', 'freshState(spec, seed)', 'freshState(spec, 0)'],
      [
        'states in one group whatever their size',
        'writeAll(grouped(program, others, groupBytes)',
        'writeAll([others]',
      ],
      ['what was read ahead outlives a writing', 'return checked\n    forget()\n', 'return checked\n'],
      ['what was read ahead is handed out twice', '      ahead.delete(one.key)\n', ''],
      ['states that hold nothing are read ahead', ' || empty.has(next.key)) break', ') break'],
      [
        'what is written is filled once more',
        'for (const key of checked.right.keys()) empty.delete(key)',
        '',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/held-states.ts',
    ['engine/backend'],
    [['what a failed call wrote is there', 'for (const key of keys) empty.add(key)', '']],
  ),
  mutantsOf(
    'src/engine/held-states.ts',
    ['engine/half-weights'],
    [
      [
        'patterns of another length are taken',
        'patterns?.right.length === elements(axes)',
        'patterns !== undefined',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/onnx/runtime.ts',
    ['engine/onnx-telemetry'],
    [
      ['the runtime tells what it runs', "process.env.ORT_DISABLE_TELEMETRY ??= '1'", ''],
      ['in a thread of the user’s it tells what it runs', 'if (isMainThread) return', 'return'],
    ],
  ),
  mutantsOf(
    'src/engine/onnx/emitter.ts',
    ['engine/graphs'],
    [
      ['constants of one content have one shape', '`${type} ${dims.join()} ${hash}`', '`${type} ${hash}`'],
      ['a transpose of long axes is a reshape', 'p > moved[i - 1]!)', 'p >= 0)'],
    ],
  ),
  mutantsOf(
    'src/engine/onnx/operators.ts',
    ['engine/onnx-operators'],
    [
      [
        'softmax over the last axis',
        "'Softmax', [value(t.inputs[0]!)], { axis: place(t, over) }",
        "'Softmax', [value(t.inputs[0]!)], { axis: -1 }",
      ],
      ['a cast to bool gives int32', 'bool: 9', 'bool: 6'],
      ['operands meet from the left', 'full.slice(first)', 'full.filter((n) => n !== 1)'],
    ],
  ),
  mutantsOf(
    'src/engine/side-by-side.ts',
    ['engine/graphs'],
    [
      ['pieces that leave a gap at the end are a whole', 'return end === whole ?', 'return end <= whole ?'],
      ['pieces that overlap lie side by side', 'if (p.start !== end) return undefined', ''],
    ],
  ),
  mutantsOf(
    'src/engine/onnx/composites.ts',
    ['engine/onnx-composites', 'engine/graphs'],
    [
      [
        'the norm’s ε is its default',
        'epsilon: { float: Number(s.epsilon) } },\n    { outputs: 2 }',
        'epsilon: { float: 1e-5 } },\n    { outputs: 2 }',
      ],
      ['rotary by angles whose halves differ', 'fits && halvesAgree(cos) && halvesAgree(sin)', 'fits'],
      ['one-hot added and not taken off', 'fill(-1)', 'fill(1)'],
    ],
  ),
  mutantsOf(
    'src/engine/tensorflow/lower.ts',
    ['optim/step', 'engine/tensorflow-session'],
    [
      ['the decay not by the rate', "shared('Mul', lr, g.float(decay).name)", 'g.float(decay).name'],
      ['ε not corrected', "shared('Mul', root2, g.float(epsilon).name)", 'g.float(epsilon).name'],
      [
        'the clip’s factor is lost',
        'u.factor === undefined ? gradient.name :',
        'u.factor !== undefined ? gradient.name :',
      ],
      ['a variable keeps the caller’s memory', 'const isShared = !isOwn(source) ||', 'const isShared ='],
    ],
  ),
  mutantsOf(
    'src/engine/held-states.ts',
    ['engine/tensorflow-session'],
    [
      ['all states in one group', 'if (bytes + size > ', 'if (groups.length === 0 || bytes + size < 0 * '],
      ['groups never begin anew', 'bytes = 0\n', ''],
    ],
  ),
  mutantsOf(
    'src/engine/tensorflow/session.ts',
    ['engine/lifetime', 'engine/tensorflow-session', 'engine/graphs'],
    [
      ['signatures are never released', 'model.dispose()', 'void model'],
      ['a signature opened anew for each call', 'if (had !== undefined) return had', ''],
      [
        'fetched tensors are never freed',
        '...Object.values(fed), ...Object.values(fetched)',
        '...Object.values(fed)',
      ],
      ['the temporary folder stays', 'await removeFolder(this.#folder)', ''],
      ['the first variant always', '[index]!', '[0]!'],
      ['a folder stays where loading fails', 'await native.close().catch(() => undefined)', ''],
    ],
  ),
  mutantsOf(
    'src/engine/tensorflow/in-place.ts',
    ['engine/state-writes'],
    [
      [
        'a place beyond the end writes the last',
        "g.op('Equal', [places, g.op('Maximum', [nearest, g.int(0)], type)], type)",
        "g.op('Equal', [nearest, nearest], type)",
      ],
      ['the last slot is never written', 'g.int(s.slot.size - 1)', 'g.int(s.slot.size - 2)'],
      ['all rows write to the first', '(_, i) => i * s.slot.size', '() => 0'],
    ],
  ),
  mutantsOf(
    'src/engine/tensorflow/patterns.ts',
    ['engine/tensorflow-operators', 'engine/tensorflow-lowering'],
    [
      ['half the sum of squares', 'g.float(2)', 'g.float(1)'],
      ['tanh for sigmoid', "op: 'SigmoidGrad'", "op: 'TanhGrad'"],
    ],
  ),
  mutantsOf(
    'src/engine/tensorflow/operators.ts',
    ['engine/tensorflow-operators', 'engine/graphs'],
    [
      ['softmax over the last axis', 'const at = place(t.axes, over)', 'const at = t.axes.length - 1'],
      ['scatter keeps the largest', "'UnsortedSegmentSum'", "'UnsortedSegmentMax'"],
    ],
  ),
  mutantsOf(
    'src/engine/worker/thread.ts',
    ['engine/worker'],
    [
      [
        'who waits for a thread that died waits for ever',
        'for (const { reject } of waiting.splice(0)) reject(ended)',
        '',
      ],
      ['a dead thread is asked', 'if (ended !== undefined) throw ended', ''],
      [
        'an error is an answer',
        "if ('thrown' in replied) first?.reject(replied.thrown)\n    else first?.resolve(replied.answer)",
        'first?.resolve((replied as { answer: unknown }).answer)',
      ],
    ],
  ),
  mutantsOf(
    'src/engine/worker/index.ts',
    ['engine/worker'],
    [
      ['closing leaves the thread', 'await end(() => threads.give(thread))\n', ''],
      [
        'a call’s memory is used again before its answer',
        'const first = graph',
        'own?.answered()\n      const first = graph',
      ],
      ['what is written is taken from the caller', 'given ? give : lend', 'give'],
      [
        'a thread takes weights that change for constants',
        'lasting: last }',
        'lasting: new Set(program.states.keys()) }',
      ],
      ['the folder of a thread stays', 'if (scratch !== undefined) await removeFolder(scratch)', ''],
    ],
  ),
  mutantsOf(
    'src/engine/worker/transfer.ts',
    ['engine/worker'],
    [
      ['inputs are taken from the caller', 'move(data.slice() as Data)', 'move(data)'],
      ['shared memory is moved', 'data.buffer instanceof SharedArrayBuffer ? data : move', 'move'],
      ['a part takes its whole buffer along', ' || data.byteLength !== data.buffer.byteLength', ''],
      ['a call’s memory is given to two', 'own.splice(0)', 'own'],
      ['memory of any size waits', 'if (bytes + size > waiting)', 'if (false)'],
      ['no memory is used again', 'free.get(size)?.pop()', 'free.get(-1)?.pop()'],
    ],
  ),
  mutantsOf(
    'src/engine/xla/joined-sums.ts',
    ['engine/xla/joined-sums'],
    [
      ['every sum stays', 'if (groups.size === all.length) return now', 'return now'],
      ['other shapes are added', 'after.inputs[0]!.axes.map((x) => `${x.name} ${x.size}`)', "['']"],
      ['long sums are joined', ' && elements(inputs[0]!.axes) <= small', ''],
      ['what others use is summed twice', 'isSmallSum(before) && alone(before)', 'isSmallSum(before)'],
      ['additions that others use are summed again', 'isAdded(after) && alone(before)', 'isAdded(after)'],
      ['sums of some axes are joined', "op.fn === 'add' && axes.length === 0", "op.fn === 'add'"],
      ['whole numbers are joined', " dtype === 'float32' &&", ''],
    ],
  ),
  mutantsOf(
    'src/engine/xla/loop.ts',
    ['engine/xla/lowering', 'engine/xla/generation-program', 'engine/loop'],
    [
      ['no weights are joined', 'if (!w.alone) return body', 'return body'],
      ['what nothing multiplies is rounded', 'return all.length > 0 && all.every', 'return all.every'],
      ['what is carried counts as a weight', 'i >= from && isWeight(x)', 'isWeight(x)'],
      ['what is added up is rounded', "u.op.op === 'contract' ||", "u.op.op === 'binary' ||"],
    ],
  ),
  mutantsOf(
    'src/engine/xla/builder.ts',
    ['engine/xla/lowering', 'engine/loop'],
    [
      ['each step rounds the weights', "(type === 'bfloat16' && text", '(false && text'],
      ['what a step makes is moved out of it', 'scopes.findLast(', 'scopes.find('],
    ],
  ),
  mutantsOf(
    'src/engine/worker/flat-graph.ts',
    ['engine/worker'],
    [
      ['a user’s line is lost', 'site: lineOf(t) }', 'site: 0 }'],
      ['what was shared is there twice', 'const flat = literals.get(op) ?? {', 'const flat = {'],
      ['inputs in reverse', 'inputs.map((i) => made[i]!)', '[...inputs].reverse().map((i) => made[i]!)'],
    ],
  ),
  mutantsOf(
    'src/engine/worker/entry.ts',
    ['engine/worker'],
    [
      [
        'every variant is the first',
        'known[index] = unflatten(graph)[0]!',
        'known[0] = unflatten(graph)[0]!',
      ],
      [
        'an error leaves no answer',
        'return [{ thrown: plainError(e) }, parcel()]',
        'return [{ answer: undefined as never }, parcel(), plainError(e)] as never',
      ],
      ['closing leaves the backend open', 'await closed.close()\n', ''],
    ],
  ),
  mutantsOf(
    'src/engine/xla/sharding.ts',
    ['engine/xla/sharding', 'engine/xla/tensor-parallel'],
    [
      ['one direction cuts twice', '    taken.add(direction)\n', ''],
      ['the optimizer is whole', "s.optimizer === 'whole' || init.kind", 'init.kind'],
      [
        'a weight that begins with numbers is parted too',
        "|| init.kind !== 'zeros') return cut",
        ') return cut',
      ],
      ['a direction twice on a state', ' || cut.includes(first)', ''],
      [
        'the order of the grid is lost',
        'const order = [...used, ...directions.filter((d) => !used.includes(d))]',
        'const order = directions',
      ],
      ['copies are told apart', "${whole > 1 ? ' last_tile_dim_replicate' : ''}}`", '}`'],
      ['the first direction changes fastest', '[...mesh].reverse()', '[...mesh]'],
      ['holders are all', '([name, at]) => at === 0 || cut.includes(name)', '() => true'],
      [
        'parts of an inner cut lie together',
        'const last = cut.findLastIndex((c) => c !== undefined)',
        'const last = cut.findIndex((c) => c !== undefined)',
      ],
      [
        'a stretch begins where the first does',
        'start = cut.reduce((n, c, i) => n + (c === undefined ? 0 :',
        'start = cut.reduce((n, c, i) => n + (c === undefined || i > 0 ? 0 :',
      ],
      [
        'what only open axes have is told',
        'if (!axes.some(({ name }, i) => s.inner.has(name) && cut[i] !== undefined)) return undefined\n',
        '',
      ],
      ['open axes are told whole', "unspecified_dims=[${open.join(',')}]", ''],
      ['rows of a batch are no direction’s', '...rows.map((name) => [name, directions[0]!] as const), ', ''],
    ],
  ),
].flat()
