/**
 * `npm run bench -- <name> [options]`: what the README's figures come from. Each bench prints a table, or with `--json` one
 * line of JSON, on standard output, and its progress on standard error.
 */
const benches: Record<string, () => Promise<{ run(args: string[]): Promise<void> }>> = {
  batching: () => import('./batching.ts'),
  'cold-start': () => import('./cold-start.ts'),
  engines: () => import('./engines.ts'),
  fairness: () => import('./fairness.ts'),
  gpu: () => import('./gpu/bench.ts'),
  metering: () => import('./metering.ts'),
  'noisy-neighbour': () => import('./noisy-neighbour.ts'),
  overhead: () => import('./overhead.ts'),
  overload: () => import('./overload.ts'),
  revocation: () => import('./revocation.ts'),
  'served-ratio': () => import('./served-ratio.ts'),
  soak: () => import('./soak/soak.ts'),
  'usage-queries': () => import('./usage-queries.ts'),
};

const [name, ...args] = process.argv.slice(2);
const bench = name === undefined ? undefined : benches[name];
if (bench) {
  const { run } = await bench();
  await run(args);
} else {
  process.stderr.write(`Name a bench: npm run bench -- <${Object.keys(benches).join(' | ')}>\n`);
  process.exitCode = 2;
}
