import { afterAll, describe, expect } from 'vitest'
import { closeBrowser, it } from './opened.js'

afterAll(closeBrowser)

describe('when something is wrong', () => {
  it('the outage of a backend cannot be overlooked', async ({ stub, open }) => {
    const { page } = await open()
    await expect.poll(() => page.title()).toBe('Sessions')
    const { status } = stub
    stub.status = {
      ...status,
      backend: { ...status.backend, state: 'down' },
      outage: {
        backend: 'slow',
        since: new Date(Date.now() - 42_000).toISOString(),
        seconds: 42,
        admitted: 7,
      },
      outages: 1,
    }
    const alert = page.getByRole('alert')
    await alert.getByText('Outage of the backend since').waitFor()
    expect(await alert.textContent()).toMatch(
      /: too slow\..*New viewers are let in unchecked.*7 viewers.*0:00:42/,
    )
    expect((await alert.boundingBox())?.width).toBe(1280)
    expect(await page.locator('#backend-state').textContent()).toBe('too slow')
    expect(await page.title()).toMatch(/Backend outage/)
    expect(await page.locator('link[rel=icon]').getAttribute('href')).toMatch(/^data:image/)
    stub.status = {
      ...stub.status,
      outage: { ...stub.status.outage!, backend: 503 },
      when_backend_down: 'deny',
    }
    await alert.getByText('New viewers are refused').waitFor()
    expect(await alert.textContent()).toMatch(/: status 503\./)
    stub.status = status
    await alert.waitFor({ state: 'hidden' })
    await expect.poll(() => page.title()).toBe('Sessions')
    expect(await page.locator('link[rel=icon]').getAttribute('href')).toBe('data:,')
  })

  it('a backend that has never answered is told before anybody has come', async ({ stub, open }) => {
    const { page } = await open()
    await page.getByText(/^answers in/).waitFor()
    const { backend } = stub.status
    stub.status = { ...stub.status, backend: { ...backend, state: 'unknown', never_answered: 'refused' } }
    const alert = page.getByRole('alert')
    await alert.getByText('has never answered since this service was first started').waitFor()
    expect(await alert.textContent()).toMatch(
      /: refuses connections\. Look at BACKEND_URL\..*let in unchecked/,
    )
    expect(await page.title()).toMatch(/Backend outage/)
  })

  it('a backend whose last answers were none is not called well, however quick the one before', async ({
    stub,
    open,
  }) => {
    const { page } = await open()
    await page.getByText(/^answers in/).waitFor()
    const { backend } = stub.status
    stub.status = { ...stub.status, backend: { ...backend, state: 'failing', failures: 12 } }
    await page.getByText('failures in a row: 12').waitFor()
    expect(await page.getByText(/^answers in/).count()).toBe(0)
  })

  it.for([
    [500, 'A bug in the service (500)'],
    [503, 'The service has too much to do (503).'],
    [401, 'The service refuses this page (401).'],
    [404, 'The answer is 404.'],
  ] as const)('a service that answers %i is reached', async ([status, words], { stub, allowed, open }) => {
    allowed.push(String(status))
    const { page } = await open()
    stub.failing = status
    const alert = page.getByRole('alert')
    await alert.getByText(words).waitFor()
    expect(await alert.textContent()).not.toContain('reached')
    expect(await page.title()).toMatch(/Not up to date/)
    stub.failing = undefined
    await alert.waitFor({ state: 'hidden' })
  })

  it('a service that is not reached is another matter, and what was known stays', async ({
    stub,
    allowed,
    open,
  }) => {
    allowed.push('ERR_EMPTY_RESPONSE')
    const { page, rows } = await open()
    stub.unreachable = true
    await page.getByRole('alert').getByText('The service has not been reached since').waitFor()
    expect(await rows().count()).toBe(100)
    expect(await page.title()).toMatch(/Service unreachable/)
    await page.locator('tbody button').first().click()
    await page.getByRole('button', { name: 'Close session' }).click()
    await page.getByRole('status').getByText('The service does not answer. Look whether').waitFor()
    stub.unreachable = false
    await page.getByRole('alert').waitFor({ state: 'hidden' })
  })

  it('what viewers send is text, whatever it looks like', async ({ stub, open }) => {
    const evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>&amp;\u202e'
    stub.sessions = stub.sessions.slice(0, 3).map((session) => ({
      ...session,
      name: evil,
      channel_id: evil,
      user_agent: evil,
      host: evil,
      source: evil as 'backend',
    }))
    const [{ client_id, addr }] = stub.sessions as [(typeof stub.sessions)[0]]
    const blocked_until = new Date(Date.now() + 60_000).toISOString()
    stub.blocks = [{ client_id, addr, channel_id: evil, host: evil, user_agent: evil, blocked_until }]
    stub.status = { ...stub.status, channels: [{ channel_id: evil, watching: 3 }], version: evil }
    const { page, cells } = await open()
    for (const column of ['name', 'channel', 'agent', 'host', 'source']) {
      expect(await cells(column)).toEqual([evil, evil, evil])
    }
    await page.getByText('Kept out: 1 viewer').click()
    expect((await page.locator('#blocks li').textContent())?.split(evil).length).toBe(3)
    await page.getByRole('button', { name: 'Close' }).first().click()
    expect(await page.locator('#dialog-name').textContent()).toBe(evil)
    await page.getByRole('button', { name: 'Close session' }).click()
    await page.getByRole('status').getByText('Closed: <img').waitFor()
    expect(await page.locator('img, body script').count()).toBe(0)
    expect(await page.title()).toBe('Sessions')
  })
})
