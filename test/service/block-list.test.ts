import { expect, it } from 'vitest'
import { BlockList, MAX_BLOCKS } from '../../service/block-list.js'
import { NO_ARCHIVE, type KeptBlock } from '../../service/archive/session-archive.js'
import { sessionKeyOf } from '../../service/session.js'

const viewerKey = (clientIp: string) =>
  sessionKeyOf({ host: 'tv', channelId: 'a', clientIp, userAgent: 'vlc', credentials: '' })

it('a block holds until its time, can be lifted, and is told with what it is about', () => {
  let nowMs = 0
  const blocks = new BlockList(() => nowMs, NO_ARCHIVE)
  blocks.add({ viewerKey: viewerKey('192.0.2.1'), id: 'one' }, 1_000)
  blocks.add({ viewerKey: viewerKey('192.0.2.2'), id: 'two' }, 2_000)
  expect(blocks.untilMs(viewerKey('192.0.2.1'))).toBe(1_000)
  nowMs = 1_000
  expect(blocks.untilMs(viewerKey('192.0.2.1'))).toBeUndefined()
  expect(Array.from(blocks.entries(), ([, block]) => block)).toEqual([
    { sessionId: 'two', host: 'tv', channelId: 'a', clientIp: '192.0.2.2', userAgent: 'vlc', untilMs: 2_000 },
  ])
  expect([blocks.lift('one'), blocks.lift('two'), blocks.size]).toEqual([false, true, 0])
})

it("another service's block holds, the longer of two, until it is lifted there or here", () => {
  let kept: KeptBlock[] | undefined
  const told: KeptBlock[] = []
  const archive = { ...NO_ARCHIVE, block: (block: KeptBlock) => told.push(block), changedBlocks: () => kept }
  const blocks = new BlockList(() => 500, archive)
  const [one, two] = [viewerKey('192.0.2.1'), viewerKey('192.0.2.2')]
  expect(blocks.learn()).toEqual([])
  blocks.add({ viewerKey: two, id: 'ours' }, 2_000)
  kept = [
    { viewerKey: one, sessionId: 'theirs', untilMs: 1_000 },
    { viewerKey: two, sessionId: 'theirs', untilMs: 1_000 },
    { viewerKey: viewerKey('192.0.2.3'), sessionId: 'over', untilMs: 500 },
  ]
  expect(blocks.learn()).toEqual([one])
  expect(blocks.learn()).toEqual([])
  expect([blocks.untilMs(one), blocks.untilMs(two), blocks.size]).toEqual([1_000, 2_000, 2])
  // What was lifted is one that is over.
  kept = [
    { viewerKey: one, sessionId: 'theirs', untilMs: 400 },
    { viewerKey: two, sessionId: 'theirs', untilMs: 400 },
  ]
  blocks.learn()
  expect([blocks.untilMs(one), blocks.untilMs(two)]).toEqual([undefined, 2_000])
  expect(blocks.lift('ours')).toBe(true)
  expect(told.at(-1)).toEqual({ viewerKey: two, sessionId: 'ours', untilMs: 500 })
})

it('the oldest of too many is lifted', () => {
  const blocks = new BlockList(() => 0, NO_ARCHIVE)
  for (let count = 0; count <= MAX_BLOCKS; count++)
    blocks.add({ viewerKey: viewerKey(String(count)), id: '' }, 1)
  expect([blocks.size, blocks.untilMs(viewerKey('0')), blocks.untilMs(viewerKey('1'))]).toEqual([
    MAX_BLOCKS,
    undefined,
    1,
  ])
})
