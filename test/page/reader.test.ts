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
      stub.status = { ...stub.status, outage: { since: new Date().toISOString(), seconds: 1, admitted } }
      await page.getByRole('alert').getByText(words).waitFor()
    }
    expect(await page.locator('body').innerText()).not.toMatch(/undefined|NaN|\b(Close|Session)\b/)
  })

  it.for(['light', 'dark'] as const)('can be read in %s', async (colorScheme, { stub, open }) => {
    const since = new Date().toISOString()
    stub.status = { ...stub.status, outage: { since, seconds: 1, admitted: 1 } }
    const { page } = await open({ colorScheme })
    await page.getByLabel('Source').selectOption('open-door')
    await page.getByText('Most watched').waitFor()
    await page.getByRole('alert').waitFor()
    const texts =
      'h1|#service|#outage|#summary dd|#summary dt|#backend-state|#channels span|#channels span:last-child|th|' +
      '[aria-sort]|#filters label|#filters input|td.name|td.agent|td.source|td button|#range|#next|' +
      'dialog h2|#dialog-hint|.danger|#cancel|#unreachable'
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
