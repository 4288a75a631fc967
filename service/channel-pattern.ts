import { RE2JS, RE2JSException } from 're2js'

const EXAMPLE = '^/play/([^/]+)/'

/** A group with this name is the channel, whatever other groups there are. */
const CHANNEL_GROUP = 'channel'

/** What others know and RE2 does not, by what re2js says to it, and what to write in its place. */
const CURES = [
  [/`\(\?<?[=!]/, 'it does not look ahead or behind: write what may stand there, such as [^/]+'],
  [/`\\[1-9k]/, 'it does not look back at a group: write what may stand there, such as [^/]+'],
  [/`\\u/, 'it reads a character itself, or its number as in \\x{43a}'],
  [/`\\p/i, 'it knows short names of classes, such as \\p{L} or \\p{Cyrillic}'],
  [
    /^duplicate/,
    'it takes a name once: write (?<channel>…) around what differs, such as ^/(?:hls|vod)/(?<channel>[^/]+)/',
  ],
] as const satisfies readonly (readonly [RegExp, string])[]

/** Longer paths are read each time: few have them, and they would take the memory of many. */
const MAX_REMEMBERED_LENGTH = 200

/** How many paths make a generation; two are remembered, which is some megabytes at most. */
const GENERATION = 4_096

/** Why a pattern cannot be used: the message says what it must be. */
export class ChannelPatternError extends Error {
  override readonly name = 'ChannelPatternError'
}

/**
 * The operator's expression for the channel in a path. RE2 reads it, whose time grows with the length of a path and no
 * faster, whatever a viewer writes there (https://swtch.com/~rsc/regexp/regexp1.html); an expression of JavaScript's own
 * can go back and forth in a path for minutes, in the only thread.
 *
 * The channel is the group named `channel` where there is one, else the one group that took part in the match.
 */
export class ChannelPattern {
  readonly source: string
  readonly #expression: RE2JS
  /** Numbers of the groups of which one is the channel. */
  readonly #groups: readonly number[]
  /** What was found last, and in the generation before: a request's folder is nearly always one of a request before it. */
  #young = new Map<string, Finding>()
  #old = new Map<string, Finding>()

  /** @throws ChannelPatternError where RE2 does not know the expression, or where it is not clear which group is the channel */
  constructor(source: string) {
    this.source = source
    this.#expression = compiled(source)
    const { groups, areTwoPossible } = groupsOf(this.#expression)
    const named = this.#expression.namedGroups()[CHANNEL_GROUP]
    this.#groups = named === undefined ? groups : groups.filter((group) => group === named)
    if (this.#groups.length === 0) {
      throw new ChannelPatternError(
        `must be a regular expression with a group for the channel, such as ${EXAMPLE}`,
      )
    }
    if (named === undefined && areTwoPossible) {
      throw new ChannelPatternError(
        'must have one group in a match, the channel: write (?:…) for what is not the channel, or (?<channel>…) for what is',
      )
    }
  }

  /** @returns undefined where the pattern does not match, and an empty text where nothing is in its group */
  channelIn(path: string): string | undefined {
    if (path.length > MAX_REMEMBERED_LENGTH) return this.#find(path)
    const known = this.#young.get(path)
    if (known !== undefined) return known.channel
    return this.#remember(this.#old.get(path) ?? this.#findingOf(path))
  }

  #remember(finding: Finding): string | undefined {
    if (this.#young.size >= GENERATION) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(finding.path, finding)
    return finding.channel
  }

  #findingOf(text: string): Finding {
    // A part of a request would keep all of it in memory.
    const path = Buffer.from(text).toString()
    return { path, channel: this.#find(path) }
  }

  #find(path: string): string | undefined {
    const match = this.#expression.exec(path) as (string | undefined)[] | null
    if (match === null) return undefined
    for (const group of this.#groups) if (match[group]) return match[group]
    return ''
  }
}

interface Finding {
  readonly path: string
  readonly channel: string | undefined
}

function compiled(source: string): RE2JS {
  try {
    return RE2JS.compile(source)
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    const said = error.message.replace('error parsing regexp: ', '')
    const cure = CURES.find(([pattern]) => pattern.test(said))?.[1] ?? `an example is ${EXAMPLE}`
    throw new ChannelPatternError(`must be a regular expression as RE2 reads it; ${cure} (${said})`)
  }
}

/** An instruction of a compiled expression: it leads to `out`, and one that tries two ways also to `arg`. */
interface Instruction {
  readonly op: number
  readonly out: number
  readonly arg: number
}

// As re2js numbers them (Inst). A group's beginning has twice the group's number as `arg`, its end one more.
const [TWO_WAYS, TWO_WAYS_MATCHING, GROUP, FAILED, MATCHED] = [1, 2, 3, 5, 6]

/**
 * The groups that can take part in a match, and whether two can take part in the same. What re2js has compiled is asked,
 * not the text: there classes, escapes and repetitions are what they mean.
 */
function groupsOf(expression: RE2JS): {
  readonly groups: readonly number[]
  readonly areTwoPossible: boolean
} {
  const { inst, start } = expression.re2().prog as {
    readonly inst: readonly Instruction[]
    readonly start: number
  }

  /** The groups that can begin from an instruction on. */
  function groupsFrom(first: number): Set<number> {
    const groups = new Set<number>()
    const seen = new Set([first])
    for (const at of seen) {
      const { op, out, arg } = inst[at]!
      if (isGroupsBeginning(op, arg)) groups.add(arg / 2)
      if (op !== FAILED && op !== MATCHED) seen.add(out)
      if (op === TWO_WAYS || op === TWO_WAYS_MATCHING) seen.add(arg)
    }
    return groups
  }

  const areTwoPossible = inst.some(
    ({ op, out, arg }) =>
      isGroupsBeginning(op, arg) && [...groupsFrom(out)].some((group) => group !== arg / 2),
  )
  return { groups: [...groupsFrom(start)], areTwoPossible }
}

function isGroupsBeginning(op: number, arg: number): boolean {
  return op === GROUP && arg % 2 === 0
}
