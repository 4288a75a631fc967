import { defineConfig } from 'vitest/config'

// Real players in real time, minutes, not seconds; and the sessions page in a real browser.
export default defineConfig({
  test: {
    include: ['test/{players,page,monitoring}/**/*.test.ts'],
    globalSetup: 'test/players/required.ts',
    testTimeout: 180_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
    maxConcurrency: 6,
  },
})
