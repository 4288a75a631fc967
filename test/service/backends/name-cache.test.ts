import dns, { type LookupAddress } from 'node:dns'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { NameCache } from '../../../service/backends/name-cache.js'

const FOUND: LookupAddress[] = [
  { address: '192.0.2.1', family: 4 },
  { address: '192.0.2.2', family: 4 },
]
let nowMs: number
let asked: {
  readonly name: string
  answer(error: NodeJS.ErrnoException | null, addresses: LookupAddress[]): void
}[]
let cache: NameCache

beforeEach(() => {
  nowMs = 0
  asked = []
  cache = new NameCache(() => nowMs)
  vi.spyOn(dns, 'lookup').mockImplementation(((name: string, _: object, answer: never) => {
    asked.push({ name, answer })
  }) as never)
})
afterEach(() => vi.restoreAllMocks())

const look = (all = true, name = 'portal') =>
  new Promise<unknown>((resolve) =>
    cache.lookup(name, { all }, (error, address, family) =>
      resolve(error ?? (all ? address : [address, family])),
    ),
  )

it('a name is looked up once for all who ask at once, and once a second', async () => {
  const first = [look(), look(false), look()]
  expect(asked.map(({ name }) => name)).toEqual(['portal'])
  asked[0]!.answer(null, FOUND)
  expect(await Promise.all(first)).toEqual([FOUND, ['192.0.2.1', 4], FOUND])
  nowMs = 999
  expect(await look(false)).toEqual(['192.0.2.1', 4])
  expect(asked).toHaveLength(1)
  nowMs = 1_000
  void look()
  void look(true, 'another')
  expect(asked.map(({ name }) => name)).toEqual(['portal', 'portal', 'another'])
})

it('a failure is told to all who wait, and not remembered', async () => {
  const error = Object.assign(new Error('getaddrinfo ENOTFOUND portal'), { code: 'ENOTFOUND' })
  const both = [look(), look(false)]
  asked[0]!.answer(error, undefined as never)
  expect(await Promise.all(both)).toEqual([error, error])
  void look()
  expect(asked).toHaveLength(2)
})

it('a name server that does not answer is asked again after a second', async () => {
  void look()
  nowMs = 999
  void look()
  expect(asked).toHaveLength(1)
  nowMs = 1_000
  const later = look()
  expect(asked).toHaveLength(2)
  asked[1]!.answer(null, FOUND)
  expect(await later).toEqual(FOUND)
  expect(await look()).toEqual(FOUND)
  // And the first one, at long last, changes nothing.
  asked[0]!.answer(null, FOUND)
  expect(await look()).toEqual(FOUND)
  expect(asked).toHaveLength(2)
})
