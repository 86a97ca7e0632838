// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what stands in quotes is source
import { mutantsOf } from './mutant.ts'

/** Bugs of `src/run` but for how rollouts are read back. */
export const run = [
  mutantsOf(
    'src/run/run-lock.ts',
    ['run/run-lock', 'run/run-folder'],
    [
      ['a folder that went away holds', "(existsSync(join(folder, file)) ? text : '')", 'text'],
      [
        'a lock that was taken away is a folder that went',
        "(existsSync(join(folder, file)) ? text : '')",
        "''",
      ],
      ['a process that has ended lives', '!now.ended && ', ''],
      ['a process with the same id lives', '(born === undefined || born === now.born)', 'true'],
      ['another user’s process is gone', "if (codeOf(e) !== 'EPERM') return false", 'return false'],
      ['a given back lock is waited for', "process.removeListener('exit', release)", ''],
      ['a second time takes another’s', 'if (released) return\n', ''],
      [
        'what was taken meanwhile is taken away',
        'if (textIn(aside) === text) rmSync(aside, { force: true })\n  else renameSync(aside, path)',
        'rmSync(aside, { force: true })',
      ],
      ['what cannot be linked is no lock', "if (codeOf(e) === 'EEXIST') throw e\n", 'throw e\n'],
      [
        'where nothing is linked a lock is written over',
        "        writeFileSync(path, text, { flag: 'wx', flush: true })\n      }",
        '        writeFileSync(path, text, { flush: true })\n      }',
      ],
      ['what has just gone is not tried again', 'claim(path, text, 20)', 'claim(path, text, 0)'],
      ['each process began at once', 'fields[19]', 'fields[18]'],
      ['every boot is one', 'born: `${boot}/${fields[19]}`', 'born: `${fields[19]}`'],
      [
        'a name with brackets moves the fields',
        "stat.slice(stat.lastIndexOf(')') + 2)",
        "stat.slice(stat.indexOf(')') + 2)",
      ],
    ],
  ),
  mutantsOf(
    'src/run/run-state.ts',
    ['run/run-state', 'run/progress'],
    [
      ['the mean is biased to its start', '/ (1 - keep ** (n + 1))', ''],
      ['after a NaN nothing is known any more', 'n === 0 || !Number.isFinite(before)', 'n === 0'],
      ['weights of another stage', 'state.found?.stage === event.stage', 'state.found !== undefined'],
      [
        'a stage that begins anew stays beside itself',
        's.index < event.index), begun]',
        's.index <= event.index), begun]',
      ],
      [
        'a run that goes on has failed',
        'finished: _finished, failed: _failed, ...rest',
        'finished: _finished, ...rest',
      ],
      [
        'a run that goes on is finished',
        'finished: _finished, failed: _failed, ...rest',
        'failed: _failed, ...rest',
      ],
      [
        'samples of the steps left out are one step’s',
        '(event.samples - s.samples) / Math.max(1, event.step - s.step)',
        'event.samples - s.samples',
      ],
      [
        'seconds of the steps left out are one step’s',
        '(event.seconds - s.seconds) / Math.max(1, event.step - s.step)',
        'event.seconds - s.seconds',
      ],
      ['tokens are the last step’s', 's.tokens + event.tokens', 'event.tokens'],
      ['data seconds are the last step’s', 's.dataSeconds + event.dataSeconds', 'event.dataSeconds'],
      [
        'compute seconds are the last step’s',
        's.computeSeconds + event.computeSeconds',
        'event.computeSeconds',
      ],
      ['averages are the weights', "if (weights === 'averaged') return", "if (weights === '') return"],
      [
        'of other weights one family is kept',
        'm.weights !== weights || m.family',
        'm.weights !== weights && m.family',
      ],
      [
        'bad rows count only as many as are shown',
        'Math.max(state.badRows.count, rows.length)',
        'rows.length',
      ],
      [
        'the number of bad rows is not read',
        'badRows: { ...state.badRows, count: event.count }',
        'badRows: state.badRows',
      ],
      ['a family measured again stands twice', '.filter((m) => m.family !== latest.family)', ''],
      ['one of them is many', "s.batch === 1 ? '' : 's'", "s.batch === 0 ? '' : 's'"],
      ['a fork is forgotten', "            e.type === 'forked' ||\n", ''],
      ['warnings before a start are forgotten', "e.type === 'warned' ||\n", ''],
      ['bad rows before a start are forgotten', "            e.type === 'bad-row' ||\n", ''],
      ['what was found is forgotten', '            e === found ||\n', ''],
      [
        'an earlier failure stays',
        "kept.filter((e) => e.type !== 'run-failed' && e.type !== 'run-finished')",
        "kept.filter((e) => e.type !== 'run-finished')",
      ],
      [
        'an earlier end stays',
        "kept.filter((e) => e.type !== 'run-failed' && e.type !== 'run-finished')",
        "kept.filter((e) => e.type !== 'run-failed')",
      ],
      ['a stage before a later one is not again', ' || [...index.values()].some((i) => i > event.index)', ''],
      ['held-out tasks asked again stand twice', '?? -1) >= event.step)', '?? -1) > event.step)'],
      ['an episode again stands twice', '?? -1) >= event.episode', '?? -1) > event.episode'],
      ['what is kept is not noted', 'kept.forEach(note)', ''],
      [
        'a step again stands twice',
        'event.step <= (last.get(event.stage) ?? 0)',
        'event.step < (last.get(event.stage) ?? 0)',
      ],
      ['an episode ends the steps of its first', 'event.step : event.step - 1)', 'event.step : event.step)'],
      [
        'steps of other stages go with it',
        '!ofSteps(e, event.stage) || e.step < event.step)',
        '!kinds.includes(e.type) || (e as OfSteps).step < event.step)',
      ],
    ],
  ),
].flat()
