// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what stands in quotes is source
import { mutantsOf } from './mutant.ts'

/** Bugs of `src/run` but for how rollouts are read back. */
export const run = [
  mutantsOf(
    'src/run/run-lock.ts',
    ['run/run-lock'],
    [
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
].flat()
