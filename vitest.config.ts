import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Vite would take graphql's ES module where Node takes its CommonJS: a second copy, whose schemas Apollo refuses.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // For tests that load ONNX Runtime themselves: it reports to its maker unless it is told not to.
    env: { ORT_DISABLE_TELEMETRY: '1' },
    globalSetup: 'test/support/global-setup.ts',
    reporters: ['default', './test/support/summary-reporter.ts'],
  },
});
