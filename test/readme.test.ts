import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ROOT } from './root.js'

/** One section of a README: what must be the same in every language. */
interface Section {
  readonly heading: string
  /** Kinds of its blocks in order, tables and lists with their length. */
  readonly outline: readonly string[]
  readonly codeBlocks: readonly string[]
  /** Inline code, the links' targets and the numbers in the text: each once, in no order. */
  readonly untranslated: readonly string[]
}

const CODE = /`[^`]+`/g
const LINK_TARGET = /\]\((?!README|#)[^)]+\)/g
const NUMBER = /\d+([.:]\d+)*/g

const isCode = (block: string) => block.startsWith('    ')

function sectionsOf(file: string): Section[] {
  const text = readFileSync(join(ROOT, file), 'utf8').trim()
  return text.split(/\n(?=#+ )/).map((section) => {
    const [heading = '', ...lines] = section.split('\n')
    const blocks = blocksOf(lines.join('\n').trimEnd())
    const prose = blocks.filter((block) => !isCode(block)).join('\n')
    const numbers = prose.replaceAll(CODE, '').replaceAll(LINK_TARGET, '').match(NUMBER)
    const found = [prose.match(CODE), prose.match(LINK_TARGET), numbers].flatMap((items) => items ?? [])
    return {
      heading,
      outline: blocks.map(kindOf),
      codeBlocks: blocks.filter(isCode),
      untranslated: [...new Set(found)],
    }
  })
}

/** What empty lines part, but for those inside code. */
function blocksOf(text: string): string[] {
  const blocks: string[] = []
  for (const block of text.split(/\n\n/).filter((part) => part !== '')) {
    if (isCode(block) && isCode(blocks.at(-1) ?? '')) blocks.push(`${blocks.pop()}\n\n${block}`)
    else blocks.push(block.replace(/^\n/, ''))
  }
  return blocks
}

function kindOf(block: string): string {
  if (isCode(block)) return 'code'
  if (block.startsWith('|')) return `table of ${block.split('\n').length} lines`
  if (block.startsWith('- ')) return `list of ${block.match(/^- /gm)?.length}`
  return 'paragraph'
}

/** A line for each difference, which names the section in both languages. */
function differences(english: readonly Section[], russian: readonly Section[]): string[] {
  const level = (section?: Section) => section?.heading.replace(/ .*/, '')
  const parting = (english.length > russian.length ? english : russian).findIndex(
    (_, i) => level(english[i]) !== level(russian[i]),
  )
  if (parting !== -1) {
    return [`headings part at ${english[parting]?.heading} / ${russian[parting]?.heading}`]
  }
  return english.flatMap((en, i) => {
    const ru = russian[i]!
    const found: string[] = []
    if (String(en.outline) !== String(ru.outline)) {
      found.push(`${en.outline.join(', ')} in README.md, ${ru.outline.join(', ')} in README.ru.md`)
    }
    for (const [at, block] of en.codeBlocks.entries()) {
      if (block !== ru.codeBlocks[at]) found.push(`code differs: ${block.trim().split('\n')[0]}`)
    }
    const only = (a: Section, b: Section) => a.untranslated.filter((item) => !b.untranslated.includes(item))
    found.push(...only(en, ru).map((item) => `${item} only in README.md`))
    found.push(...only(ru, en).map((item) => `${item} only in README.ru.md`))
    return found.map((difference) => `${en.heading} / ${ru.heading}: ${difference}`)
  })
}

it('says the same in Russian as in English', () => {
  const english = sectionsOf('README.md')
  expect(english.length).toBeGreaterThan(10)
  expect(english.flatMap(({ codeBlocks }) => codeBlocks).length).toBeGreaterThan(5)
  expect(differences(english, sectionsOf('README.ru.md'))).toEqual([])
})

it.each(['README.md', 'README.ru.md'])('%s leads to headings that it has', (file) => {
  const text = readFileSync(join(ROOT, file), 'utf8')
  // As GitHub makes an anchor of a heading.
  const anchors = Array.from(text.matchAll(/^#+ (.+)$/gm), ([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} -]/gu, '')
      .replaceAll(' ', '-'),
  )
  const links = Array.from(text.matchAll(/\]\(#([^)]+)\)/g), ([, anchor]) => anchor)
  expect(links.length).toBeGreaterThan(0)
  expect(links.filter((link) => !anchors.includes(link!))).toEqual([])
})
