import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/**
 * Ends a run with one plain line, `N passed, N failed, N skipped`, counting tests. Whatever else makes the run fail counts
 * as a failed test: a file that does not load, a hook that throws, an error that nothing caught.
 */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) counts[test.result().state] += 1;
      for (const part of [module, ...module.children.allSuites()]) {
        if (part.errors().length > 0) counts.failed += 1;
      }
    }
    // A test that never got its turn (the run was cancelled) is as untested as one that was skipped.
    const line = `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped + counts.pending} skipped\n`;
    // The other reporters and the teardown print as well: on exit nobody is left to follow.
    process.once('exit', () => process.stdout.write(line));
  }
}
