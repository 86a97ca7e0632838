// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what stands in quotes is source
import { mutantsOf } from './mutant.ts'

/** Bugs of `src/dsl`. */
export const dsl = [
  mutantsOf(
    'src/dsl/adjoints.ts',
    ['dsl/adjoints'],
    [
      [
        'tanh′ is 1 − y',
        'tanh: ({ mul, sub }, _x, y, g) => mul(g, sub(1, mul(y, y)))',
        'tanh: ({ mul, sub }, _x, y, g) => mul(g, sub(1, y))',
      ],
      ['a divisor pulls the wrong way', '() => neg(div(mul(g, y), b))', '() => div(mul(g, y), b)'],
      ['ties each get the whole', 'mul(largest, div(g, ties))', 'mul(largest, g)'],
      ['every part of a concat gets the first slice', 'const from = start', 'const from = 0'],
      [
        'softmax: the mean not taken off',
        'sub(weighted, mul(y, sum(weighted, over(y, op.over))))',
        'weighted',
      ],
      [
        'the minimum’s gradient goes to the larger',
        'where(less(a, b), g, 0)),\n    () => where(equal(b, a), mul(g, 0.5), where(less(b, a), g, 0)),',
        'where(less(b, a), g, 0)),\n    () => where(equal(b, a), mul(g, 0.5), where(less(a, b), g, 0)),',
      ],
      [
        'a power’s gradient without its exponent',
        'mul(g, mul(b, pow(a, sub(where(equal(b, 0), 1, b), 1))))',
        'mul(g, pow(a, sub(where(equal(b, 0), 1, b), 1)))',
      ],
      [
        'a broadcast operand keeps one row’s gradient',
        "reduceOf('sum', g, extra, site)",
        "reduceOf('max', g, extra, site)",
      ],
    ],
  ),
  mutantsOf(
    'src/dsl/adjoints.ts',
    ['engine/graphs'],
    [['a slice’s end is forgotten', 'size - start - findAxis', 'size - findAxis']],
  ),
  mutantsOf(
    'src/dsl/gradient.ts',
    ['dsl/adjoints'],
    [
      ['the last use wins', "binaryOf('add', sofar, reshaped(part, sofar.axes, y.site), y.site)", 'part'],
      ['a tied weight is two', "t.op.op === 'state' ? t.op.key : t", 't'],
    ],
  ),
  mutantsOf(
    'src/dsl/evaluate.ts',
    ['dsl/evaluate'],
    [
      ['argmax: the last of equals', '> x![s + places[best]!]!', '>= x![s + places[best]!]!'],
      ['softmax overflows', 'Math.max(top, x[s + p]!)', '0'],
      ['padding goes behind', 'at: before }', 'at: 0 }'],
      ['int32 products lose their low bits', "fn === 'mul' ? Math.imul", "fn === 'pow' ? Math.imul"],
      ['later rows overwrite', 'out[row + k]! += added', 'out[row + k]! = added'],
    ],
  ),
  mutantsOf(
    'src/dsl/contraction.ts',
    ['engine/onnx-operators', 'dsl/passes'],
    [
      ['the product’s order kept', 'perm: permutation(produced, node.axes)', 'perm: undefined'],
      [
        'the right matrix the wrong way round',
        'transposed: !rightView.transposed',
        'transposed: rightView.transposed',
      ],
      ['sizes swapped in a flipped view', '...(isFlipped ? [fs[1]!, fs[0]!] : fs)', '...fs'],
    ],
  ),
  mutantsOf(
    'src/dsl/reduce.ts',
    ['dsl/layers', 'dsl/laws'],
    [['the mean over one too many', 'site), n, site)', 'site), n + 1, site)']],
  ),
  mutantsOf(
    'src/dsl/loss.ts',
    ['dsl/layers'],
    [
      ['no position at all is 0 ÷ 0', "binaryOf('max', count, 1, site)", 'count'],
      [
        'class 0 is never learnt',
        "compareOf('equal', labels, Ignored, site)",
        "compareOf('equal', labels, 0, site)",
      ],
      [
        'ignored positions are counted',
        "unaryOf('not', compareOf('equal', labels, Ignored, site), site)",
        "compareOf('lessEqual', labels, labels, site)",
      ],
      ['ignored positions count', 'selectOf(counted, each, 0, site)', 'each'],
      ['the sum in place of the mean', "mean: binaryOf('div', total,", "mean: binaryOf('add', total,"],
    ],
  ),
  mutantsOf(
    'src/dsl/layers/attention.ts',
    ['dsl/layers'],
    [
      ['scores by d and not √d', 'const scale = 1 / Math.sqrt(', 'const scale = 1 / ('],
      [
        'the future is seen, the past is not',
        'lessEqual(iota(as(token, Key)), iota(token))',
        'lessEqual(iota(token), iota(as(token, Key)))',
      ],
      ['values rotated as keys are', 'toKey(cut(v, [Head]))', 'toKey(rotated(cut(v, [Head])))'],
      ['keys not normed', "norm(cut(k, [Head]), 'k_norm', path)", 'cut(k, [Head])'],
      ['values are the keys of a fused map', 'part(query.size + kv.size, kv)', 'part(query.size, kv)'],
    ],
  ),
  mutantsOf(
    'src/dsl/layers/attention.ts',
    ['models/generate', 'generation/greedy'],
    [
      [
        'scores over a cache by d and not √d',
        "const scaled = binaryOf('mul', q, 1 / Math.sqrt(",
        "const scaled = binaryOf('mul', q, 1 / (",
      ],
    ],
  ),
  mutantsOf(
    'src/dsl/layers/attention.ts',
    ['generation/windowed'],
    [['a mask of the model is left out over a cache', 'written.mask !== mask || ', '']],
  ),
  mutantsOf(
    'src/models/generate.ts',
    ['generation/windowed'],
    [
      [
        'the first of a call’s tokens is where the last is',
        'add(position, iota(ownKeys))',
        'add(at, iota(ownKeys))',
      ],
      [
        'one token alone is at the first place',
        'concat([reshape(position, [batch, axis(Key, 1)])',
        'concat([slice(broadcast(places, [batch, slots]), Key, 0, 1)',
      ],
    ],
  ),
  mutantsOf(
    'src/dsl/layers/rotary.ts',
    ['dsl/layers'],
    [
      [
        'turned without a sign',
        '[neg(sliceOf(x, headDim, half, half, site)),',
        '[sliceOf(x, headDim, half, half, site),',
      ],
      [
        'halves are one, whatever they are',
        't.inputs.length === 2 && t.inputs[0] === t.inputs[1]',
        't.inputs.length === 2',
      ],
      ['frequencies half as far apart', '-(2 * i) / headDim.size', '-i / headDim.size'],
    ],
  ),
  mutantsOf(
    'src/dsl/composite-flows.ts',
    ['dsl/composite-flows'],
    [
      ['what is turned back is turned on', 'neg(sin)', 'sin'],
      ['the slope of silu lacks a factor', 'mul(body, sub(1, s))', 'mul(x, sub(1, s))'],
      ['the norm’s mean is a sum', 'mul(along, 1 / axis.size)', 'along'],
      ['learnt angles get nothing', 'if (depends(cos) || depends(sin) || cos', 'if (cos'],
    ],
  ),
  mutantsOf(
    'src/dsl/gradient.ts',
    ['dsl/composite-flows'],
    [
      [
        'the inside of a definition is passed by',
        'flows === undefined || insideOf(y).some((t) => wanted.has(identity(t)))',
        'flows === undefined',
      ],
    ],
  ),
  mutantsOf(
    'src/dsl/layers/vision.ts',
    ['dsl/layers'],
    [
      [
        'pixel shuffle: rows and columns of a cell swapped',
        '...cells, dr, dc, channel]',
        '...cells, dc, dr, channel]',
      ],
      ['pixel shuffle: the other order', "order === 'v2' ?", "order === 'v1' ?"],
      [
        'patches column by column',
        '[...lead, row, column, c.channel, y, x]',
        '[...lead, column, row, c.channel, y, x]',
      ],
    ],
  ),
  mutantsOf(
    'src/dsl/layers/norm.ts',
    ['dsl/layers'],
    [
      ['rmsNorm without ε', 'add(mean(square(x), a.name), epsilon)', 'mean(square(x), a.name)'],
      ['layerNorm does not centre', 'sub(x, mean(x, a.name))', 'x'],
    ],
  ),
  mutantsOf(
    'src/dsl/layers/activation.ts',
    ['dsl/layers'],
    [
      ['silu is a sigmoid', 'mul(x, sigmoid(x))', 'sigmoid(x)'],
      ['the constant of geluTanh', '0.044715', '0.44715'],
    ],
  ),
  mutantsOf(
    'src/dsl/layer.ts',
    ['dsl/laws'],
    [
      [
        'a residual without its trunk',
        "binaryOf('add', x, untyped(f).apply(x, path), site)",
        'untyped(f).apply(x, path)',
      ],
      [
        'compositions the other way round',
        'untyped(g).apply(untyped(f).apply(x, path), path)',
        'untyped(f).apply(untyped(g).apply(x, path), path)',
      ],
      [
        'scopes inside out',
        'untyped(l).apply(x, join(path, scope))',
        'untyped(l).apply(x, join(scope, path))',
      ],
    ],
  ),
  mutantsOf(
    'src/dsl/init.ts',
    ['dsl/init'],
    [
      ['the seed is ignored', 'keyOf(seed, key)', 'keyOf(0, key)'],
      ['the key is ignored', 'keyOf(seed, key)', 'keyOf(seed, typeof key)'],
      [
        'truncated normal is normal',
        'fillTruncatedNormal(out, init.std, stream, from)',
        'fillNormal(out, init.std, stream, from)',
      ],
      [
        'a slice begins with the first element',
        'fillUniform(out, init.limit, stream, from)',
        'fillUniform(out, init.limit, stream)',
      ],
      ['Xavier by the inputs alone', 'Math.sqrt(6 / (fanIn + fanOut))', 'Math.sqrt(6 / fanIn)'],
      ['the filters kept are the others', 'run % keep !== keep - 1', 'run % keep === keep - 1'],
      ['runs of a slice begin at its beginning', 'run = (from - before) / row', 'run = 0'],
    ],
  ),
  mutantsOf(
    'src/dsl/program.ts',
    ['dsl/apart'],
    [
      ['every bucket has the first size', '() => build(s)', '() => build(sizes[0]!)'],
      ['a function is built anew for each program', 'built ??= build()', 'built = build()'],
      [
        'programs have no variant in common',
        'if (there !== undefined && sameStates(there, own)) return there',
        '',
      ],
      ['a state begins as it does elsewhere', 'sameInit(x.op.init, y.op.init))', 'true)'],
      ['a function of two names is one', 'had.get(name)', '[...had.values()][0]'],
      ['a state of another shape is the same', '!sameShape(had.axes, t.axes) || ', ''],
    ],
  ),
  mutantsOf(
    'src/dsl/passes/common-subexpressions.ts',
    ['dsl/passes', 'dsl/apart'],
    [
      ['a − b is b − a', "op.fn !== 'sub' && ", ''],
      ['slices differ by their axis alone', '`slice ${op.start} ${op.along}`', '`slice ${op.along}`'],
      ['casts to any dtype are one', '${shape(t.axes)} ${t.dtype}`', '${shape(t.axes)}`'],
      ['pads differ by their axis alone', '`pad ${op.before} ${op.after} ${op.along}`', '`pad ${op.along}`'],
    ],
  ),
  mutantsOf(
    'src/dsl/passes/fold-constants.ts',
    ['dsl/passes', 'dsl/apart'],
    [
      ['0 − x is x', 'sub: { right: 0 }', 'sub: { right: 0, left: 0 }'],
      ['1 ÷ x is x', 'div: { right: 1 }', 'div: { right: 1, left: 1 }'],
      ['a slice of a slice begins anew', 'start: x.op.start + start', 'start'],

      ['a slice of a part of a concat by the whole’s places', 'start: start - from', 'start'],
    ],
  ),
  mutantsOf(
    'src/dsl/passes/attention-cut.ts',
    ['dsl/attention-blocks'],
    [
      ['the keys end a step too early', 'all.findLastIndex(sees)) + 1)', 'all.findLastIndex(sees)))'],
      ['the keys begin at the first', 'all.slice(first, Math', 'all.slice(0, Math'],
      [
        'a run of what is seen whole is masked',
        'const hides = mask !== undefined && may(mask, at(range), false)',
        'const hides = mask !== undefined',
      ],
      ['what is not seen is kept', 'mask === undefined ? x : transposed', 'true ? x : transposed'],
      ['short ones are cut', 'if (rows * key.size < limits.from)', 'if (false)'],
    ],
  ),
  mutantsOf(
    'src/dsl/passes/attention-by-keys.ts',
    ['dsl/attention-blocks'],
    [
      ['no run is masked', 'where(r.hides ? c.mask(b.range, r.range) : undefined,', 'where(undefined,'],
      ['no run is masked backward', 'r.hides ? c.mask(r.range, range) : undefined', 'undefined'],
      ['a row that sees nothing gets a mean', 'const y = where(b.sees,', 'const y = where(undefined,'],
      ['the level is not taken off', 'withLast(c.v, -1, c.dim)', 'withLast(c.v, 0, c.dim)'],
      [
        'weights that do not sum to 1',
        "binaryOf('add', largest, unaryOf",
        "binaryOf('sub', largest, unaryOf",
      ],
      [
        'the gradient of queries without the scale',
        "binaryOf('mul', everything, c.scale, site)",
        'everything',
      ],
      [
        'keys get the first run’s gradient',
        'ks.unshift(sum(flows.map((f) => f.k)))',
        'ks.unshift(flows[0]!.k)',
      ],
      ['what flows into queries lies at the wrong place', 'pad(x, along, start - from,', 'pad(x, along, 0,'],
    ],
  ),
  mutantsOf(
    'src/dsl/passes/attention-by-tokens.ts',
    ['dsl/attention-blocks'],
    [
      ['a row that sees nothing, whole', 'where(b.sees, x, 0)', 'where(undefined, x, 0)'],
      ['the level is not taken off, whole', "binaryOf('sub', rise, level, site)", 'rise'],
      ['keys get the last block’s gradient', 'k = sum(k, whole(', 'k = sum(undefined, whole('],
    ],
  ),
  mutantsOf(
    'src/dsl/layers/sees.ts',
    ['dsl/sees'],
    [
      ['fractions see themselves', " || inputs[0]!.dtype === 'float32'", ''],
      ['what may be below 0 never is', "return op.fn === 'max' && inputs.some(notNegative)", 'return true'],
      ['the greater of two is below 0 where one is', 'inputs.some(notNegative)', 'inputs.every(notNegative)'],
      ['another axis is that of the keys', ' && place.names[0] === key', ''],
      ['the first key need not be compared', "op.fn !== 'lessEqual') return false", 'false) return false'],
      ['what one of two shows both show', '(a === b ? a : undefined)', '(a ?? b)'],
      ['nothing is less than itself, and seen', "op.fn === 'less' || ", ''],
      [
        'several names differ',
        'other.length === 1 && other[0]!.includes(key)',
        'other.some((o) => o.includes(key))',
      ],
      ['the name that differs is not that of the keys', ' && other[0]!.includes(key)', ''],
      ['more tokens than keys', ' && a.axes[0]!.size === b.axes[0]!.size)', ')'],
      ['a row is cut', 'from.size === to.size && ', ''],
      ['keys have another name', 'from?.name === key && to?.name === key && from.size', 'from!.size'],
      ['literals are never below 0', 'return op.data.every((x) => x >= 0)', 'return true'],
      [
        'masks of models are not known',
        "if (op.op === 'logic') {",
        "if (op.op === 'logic' && op.fn === 'or') {",
      ],
    ],
  ),
  mutantsOf(
    'src/dsl/passes/attention-blocks.ts',
    ['dsl/attention-blocks'],
    [
      [
        'a definition that is needed anyway is cut',
        'all.filter((t) => !computedIn(t).some((x) => used.has(x)))',
        'all',
      ],
    ],
  ),
  mutantsOf(
    'src/dsl/passes/attention-cut.ts',
    ['engine/attention-blocks'],
    [['blocks wait for none', 'sliceOf(computedAfter(x, ...before), along', 'sliceOf(x, along']],
  ),
  mutantsOf(
    'src/dsl/passes/attention-by-keys.ts',
    ['engine/attention-blocks'],
    [
      [
        'the first block backward does not wait',
        'into === undefined ? [sums] :',
        'into === undefined ? [] :',
      ],
    ],
  ),
  mutantsOf(
    'src/dsl/passes/attention-by-tokens.ts',
    ['engine/attention-blocks'],
    [
      [
        'the first block backward does not wait, whole',
        'k === undefined ? [sums] :',
        'k === undefined ? [] :',
      ],
    ],
  ),
  mutantsOf(
    'src/dsl/passes/mask-parts.ts',
    ['dsl/mask-parts'],
    [
      ['positions of a part begin at 0', '(_, i) => start + i)', '(_, i) => i)'],
      ['or needs both', 'a && b : a || b', 'a && b : a && b'],
      ['less by the largest', 'value ? a[0] < b[1] :', 'value ? a[1] < b[1] :'],
      ['lessEqual by the least', 'value ? a[0] <= b[1] :', 'value ? a[0] <= b[0] :'],
      ['both can be false where each can', "(op.fn === 'and') === value ?", "op.fn === 'and' ?"],
      ['less is never false', ': a[1] >= b[0]', ': false'],
      ['no number is a bound', 'Number.isNaN(least) ? undefined :', 'false ? undefined :'],
    ],
  ),
  mutantsOf(
    'src/dsl/passes/narrow.ts',
    ['dsl/passes', 'engine/graphs'],
    [
      [
        'a sum of repeated numbers counts them once',
        "op.fn === 'max' || times === 1",
        "op.fn === 'max' || times >= 1",
      ],
    ],
  ),
  mutantsOf(
    'src/dsl/passes/merge-projections.ts',
    ['dsl/passes', 'dsl/apart'],
    [['every product is the first', 'set.columns.slice(0, place)', 'set.columns.slice(0, 0)']],
  ),
  mutantsOf(
    'src/dsl/inspect/cost.ts',
    ['dsl/summary'],
    [
      [
        'a product without its additions',
        'return 2 * elements(t.axes) * elements',
        'return elements(t.axes) * elements',
      ],
      ['a state counts as often as it is read', 'if (keys.has(t.op.key) || ', 'if ('],
    ],
  ),
].flat()
