/** What public functions take settings, told by the compiler, so that none can be forgotten. */
import { join } from 'node:path'
import {
  API,
  type Checker,
  type Symbol as Named,
  SymbolFlags,
  type Type,
  TypeFlags,
} from 'typescript/unstable/sync'

/** A parameter of a public function that is a record with settings in it. */
export interface Taken {
  /** As `data.packed`. */
  readonly of: string
  readonly namespace: string
  readonly name: string
  readonly parameter: number
  /** The name of the parameter's type, or the type as it is written. */
  readonly type: string
  /** Whether a user can import that type: a namespace exports it, or it has no name. */
  readonly isImportable: boolean
  /** The settings that it has. */
  readonly settings: readonly string[]
  /** Of how many kinds of records the type is. */
  readonly kinds: number
  /** What stands for the other parameters, of their kinds. */
  readonly others: readonly unknown[]
}

/** Functions take settings by these, where nothing of them may be left out, too. */
const named = /(Options|Settings|Sizes|Config|Budget|Names|Axes)$/

/** `X` of `X<A>`, of `Pick<X, …>` and of `Readonly<X>`. */
const bareName = (text: string): string =>
  /^(?:(?:Pick|Omit|Required|Partial|Readonly)<)*((?:\{ (?:readonly )?)?\w+)/.exec(text)?.[1] ?? text

const standIn = (checker: Checker, type: Type): unknown => {
  if (checker.getSignaturesOfType(type, 0).length > 0) return () => undefined
  if (checker.isArrayLikeType(type)) return []
  if ((type.flags & TypeFlags.StringLike) !== 0) return 'x'
  if ((type.flags & TypeFlags.NumberLike) !== 0) return 1
  return {}
}

/** What the compiler knows of a tree: its checker, what a name that is handed on stands for, the namespaces and what they export. */
const compiled = (api: API, root: string) => {
  const { checker, program } = api
    .updateSnapshot({ openProjects: [join(root, 'tsconfig.build.json')] })
    .getProjects()[0]!
  const original = (s: Named): Named =>
    (s.flags & SymbolFlags.Alias) === 0 ? s : checker.getAliasedSymbol(s)
  const module = checker.getSymbolAtLocation(program.getSourceFile(join(root, 'src', 'index.ts'))!)!
  const exported = checker
    .getExportsOfModule(module)
    .map((namespace) => ({ namespace, all: checker.getExportsOfModule(original(namespace)) }))
  return { checker, original, exported }
}

/** The names that more than one namespace exports, and those namespaces. */
export const publicTwice = (root: string): Readonly<Record<string, readonly string[]>> => {
  const api = new API({ cwd: root })
  try {
    const { exported } = compiled(api, root)
    const doors = new Map<string, string[]>()
    for (const { namespace, all } of exported)
      for (const { name } of all) doors.set(name, [...(doors.get(name) ?? []), namespace.name])
    return Object.fromEntries([...doors].filter(([, of]) => of.length > 1))
  } finally {
    api.close()
  }
}

/** The settings of all functions of the package's namespaces, in the order of their names. */
export const publicSettings = (root: string): readonly Taken[] => {
  const api = new API({ cwd: root })
  try {
    const { checker, original, exported } = compiled(api, root)
    const types = new Set(
      exported.flatMap(({ all }) =>
        all.filter((s) => (original(s).flags & SymbolFlags.Type) !== 0).map((s) => original(s).name),
      ),
    )
    const functions = exported.flatMap(({ namespace, all }) =>
      all
        .filter((s) => (original(s).flags & SymbolFlags.Value) !== 0)
        .map((s) => ({ namespace: namespace.name, name: s.name, symbol: original(s) })),
    )
    const objects = (type: Type): readonly Type[] =>
      ((type.flags & TypeFlags.Union) !== 0
        ? (type as unknown as { getTypes(): readonly Type[] }).getTypes()
        : [type]
      ).filter(
        (t) =>
          (t.flags & (TypeFlags.Object | TypeFlags.Intersection)) !== 0 &&
          !checker.isArrayLikeType(t) &&
          checker.getSignaturesOfType(t, 0).length === 0,
      )
    return functions.flatMap(({ namespace, name, symbol }) =>
      checker.getSignaturesOfType(checker.getTypeOfSymbol(symbol)!, 0).flatMap((signature) => {
        const given = signature
          .getParameters()
          .map((p) => checker.getNonNullableType(checker.getTypeOfSymbol(p)!)!)
        const others = given.map((t) => standIn(checker, t))
        return given.flatMap((type, parameter) => {
          const records = objects(type)
          const properties = records.flatMap((t) => checker.getPropertiesOfType(t))
          const text = bareName(checker.typeToString(type))
          const some = properties.some((p) => (p.flags & SymbolFlags.Optional) !== 0)
          if (properties.length === 0 || !(some || named.test(text))) return []
          const settings = [...new Set(properties.map((p) => p.name))]
          return [
            {
              of: `${namespace}.${name}`,
              namespace,
              name,
              parameter,
              type: text,
              isImportable: !/^\w+$/.test(text) || types.has(text),
              settings,
              kinds: records.length,
              others,
            },
          ]
        })
      }),
    )
  } finally {
    api.close()
  }
}
