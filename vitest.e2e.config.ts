import { defineConfig } from 'vitest/config'

// Real players in real time: minutes, not seconds.
export default defineConfig({
  test: {
    include: ['test/{players,monitoring}/**/*.test.ts'],
    globalSetup: 'test/players/required.ts',
    testTimeout: 180_000,
    hookTimeout: 60_000,
    maxConcurrency: 6,
  },
})
