import { spawnSync } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect } from 'vitest'
import { ROOT } from '../root.js'
import { contrastOf, PAIR_OF, type Pair } from './contrast.js'
import { closeBrowser, it } from './opened.js'

afterAll(closeBrowser)

describe('for its reader', () => {
  it('speaks Russian', async ({ stub, open }) => {
    const { page, range } = await open({ locale: 'ru-RU' })
    expect(await page.locator('html').getAttribute('lang')).toBe('ru')
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Сессии')
    expect((await range())?.replaceAll(/\s/g, ' ')).toBe('1–100 из 10 000')
    await page.getByLabel('Решение').selectOption('open-door')
    await page.locator('td.source', { hasText: 'без проверки' }).first().waitFor()
    const cutOff = await page.evaluate<string[]>(`[...document.querySelectorAll('th, td.source, td.actions')]
      .filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent)`)
    expect(cutOff).toEqual([])
    await page.getByRole('button', { name: 'Сбросить' }).click()
    await page.getByLabel('Имя').fill('katya-1')
    await page.getByText(/^Найдено: \d+ сесси/).waitFor({ state: 'attached' })
    for (const [admitted, words] of [
      [1, '1 зритель.'],
      [3, '3 зрителя.'],
      [7, '7 зрителей.'],
    ] as const) {
      stub.status = {
        ...stub.status,
        outage: { backend: 'slow', since: new Date().toISOString(), seconds: 1, admitted },
      }
      await page.getByRole('alert').getByText(words).waitFor()
    }
    expect(await page.locator('body').innerText()).not.toMatch(/undefined|NaN|\b(Close|Session)\b/)
  })

  it.for(['light', 'dark'] as const)('can be read in %s', async (colorScheme, { stub, open }) => {
    const since = new Date().toISOString()
    stub.status = { ...stub.status, outage: { backend: 503, since, seconds: 1, admitted: 1 } }
    stub.blocks = [{ ...stub.sessions[0]!, blocked_until: since }]
    const { page } = await open({ colorScheme })
    await page.getByLabel('Source').selectOption('open-door')
    await page.getByText('Most watched').waitFor()
    await page.getByRole('alert').waitFor()
    await page.getByText('Kept out').waitFor()
    const texts =
      'h1|#service|#outage|#summary dd|#summary dt|#backend-state|#channels span|#channels span:last-child|th|' +
      '[aria-sort]|#filters label|#filters input|td.name|td.agent|td.source|td button|#range|#next|' +
      'dialog h2|#dialog-hint|.danger|#cancel|#trouble|#blocks summary|#blocks li'
    for (const text of texts.split('|')) {
      const pair = await page.evaluate<Pair>(`(${PAIR_OF})(${JSON.stringify(text)})`)
      expect({ text, pair, fine: contrastOf(pair) >= 4.5 }).toEqual({ text, pair, fine: true })
    }
    const background = (await page.evaluate<Pair>(`(${PAIR_OF})('body')`)).behind
    expect(background === 'rgb(255, 255, 255)').toBe(colorScheme === 'light')
  })

  it.for([360, 1280])('fits a window %i px wide', async (width, { open }) => {
    const { page } = await open({ viewport: { width, height: 700 }, locale: width === 360 ? 'ru' : 'en-GB' })
    await page.locator('#channels button').first().waitFor()
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBe(width)
    const button = await page.locator('tbody button').first().boundingBox()
    expect(button!.x + button!.width).toBeLessThanOrEqual(width)
  })

  it.for([
    [320, 'ru'],
    [390, 'ru'],
    [720, 'ru'],
    [320, 'en-GB'],
    [390, 'en-GB'],
    [720, 'en-GB'],
  ] as const)(
    'cuts and covers nothing that is short in a window %i px wide, in %s',
    async ([width, locale], { stub, open }) => {
      const agent = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)'
      stub.sessions = (['backend', 'remembered', 'open-door'] as const).map((source, i) => ({
        ...stub.sessions[i]!,
        source,
        addr: '198.51.100.250',
        user_agent: agent,
        uptime: 3_600_000 * (i + 1),
        last_seen: new Date(Date.now() - 59.5 * 60_000).toISOString(),
      }))
      const { page } = await open({ viewport: { width, height: 700 }, locale })
      const wrong = await page.evaluate<
        string[]
      >(`[...document.querySelectorAll('tbody tr')].flatMap((row) => {
      const cells = [...row.cells].filter((cell) => cell.offsetParent)
      const boxes = cells.map((cell) => {
        const text = document.createRange()
        text.selectNodeContents(cell)
        const { left, top, right, bottom } = cell.getBoundingClientRect()
        const inked = text.getBoundingClientRect()
        const isCut = getComputedStyle(cell).overflow === 'hidden'
        return isCut ? { left, top, right, bottom } : { left: Math.min(left, inked.left), top, right, bottom }
      })
      const over = cells.filter((_, i) => boxes.some((box, j) => j !== i && box.left < boxes[i].right - 1 &&
        box.right > boxes[i].left + 1 && box.top < boxes[i].bottom - 1 && box.bottom > boxes[i].top + 1))
      const cut = cells.filter((cell) => cell.matches('.addr, .uptime, .seen, .source, .actions') &&
        cell.scrollWidth > cell.clientWidth)
      return [...over, ...cut].map((cell) => cell.className + ': ' + cell.textContent)
    })`)
      expect(wrong).toEqual([])
      // Nothing is sorted by that is not shown.
      const sorted = await page
        .locator('th:visible button')
        .evaluateAll((all: { parentElement: { className: string } }[]) =>
          all.map((button) => button.parentElement.className),
        )
      for (const column of sorted) expect(await page.locator(`td.${column}:visible`).count()).toBe(3)
    },
  )

  it('has nothing jump when figures change', async ({ stub, open }) => {
    const { page, renewed } = await open()
    await page.locator('#channels button').first().waitFor()
    await page.evaluate(`{
      window.moved = []
      const name = ({ node }) => node?.id || node?.parentElement?.id || node?.className || node?.nodeName
      new PerformanceObserver((list) => {
        for (const shift of list.getEntries()) moved.push(...shift.sources.map(name))
      }).observe({ type: 'layout-shift' })
    }`)
    stub.grow(36_000)
    stub.status = {
      ...stub.status,
      backend: { ...stub.status.backend, in_flight: 11, latency: [...stub.status.backend.latency, 1102] },
      sessions: { ...stub.status.sessions, watching: 999, open: 1000 },
      last_minute: { admitted: 7, refused: 1141 },
    }
    await renewed()
    expect(await page.locator('#refused').textContent()).toBe('1,141')
    expect(await page.evaluate<string[]>('moved')).toEqual([])
  })

  it('is small, and quick with a hundred rows of 10,000', async ({ stub, open }) => {
    const { page, renewed } = await open()
    await renewed()
    const update = await page.evaluate<number>("performance.getEntriesByName('update').at(-1).duration")
    const filters: number[] = []
    for (const text of ['anna', 'ben', 'chloe', 'dmitry', 'elena', 'farid']) {
      filters.push(
        await page.evaluate<number>(`new Promise((resolve) => {
          const field = document.querySelector('[name=name]')
          field.value = ${JSON.stringify(text)}
          const begin = performance.now()
          new MutationObserver((_, observer) => {
            observer.disconnect()
            resolve(performance.now() - begin - 100)
          }).observe(document.querySelector('#rows'), { childList: true })
          field.dispatchEvent(new Event('input', { bubbles: true }))
        })`),
      )
    }
    const times = filters.map((ms) => ms.toFixed(0)).join(', ')
    process.stdout.write(
      `page: ${stub.sentBytes} bytes; one update ${update.toFixed(1)} ms; filters ${times} ms after the debounce\n`,
    )
    expect(stub.sentBytes).toBeLessThan(50_000)
  })
})

const PICTURE = process.env.SESSIONS_PAGE_PICTURE
it.runIf(PICTURE)('has its picture taken, for the README', async ({ open }) => {
  const { page } = await open()
  await page.locator('#channels button').first().waitFor()
  const path = join(ROOT, 'test/page/sessions-page.png')
  // 128 colours are all it needs, and a third of the bytes.
  const filter = 'split[a][b];[a]palettegen=max_colors=128[palette];[b][palette]paletteuse=dither=none'
  const ffmpeg = spawnSync('ffmpeg', ['-y', '-f', 'png_pipe', '-i', '-', '-vf', filter, path], {
    input: await page.screenshot(),
  })
  expect(ffmpeg.status).toBe(0)
  expect((await stat(path)).size).toBeLessThan(150_000)
})
