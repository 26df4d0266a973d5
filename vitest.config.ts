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
    // ONNX Runtime, which some tests load themselves, reports to its maker unless it is told not to.
    env: { ORT_DISABLE_TELEMETRY: '1', FOVEA_LOG_LEVEL: process.env.FOVEA_LOG_LEVEL ?? 'fatal' },
    globalSetup: 'test/support/global-setup.ts',
    reporters: ['default', './test/support/summary-reporter.ts'],
  },
});
