import { readFileSync } from 'node:fs';
import module from 'node:module';

/**
 * Loaded before the processes that tests start (`node --import`), with the folders to use in its query: they find the repository's
 * TypeScript stripped of its types in `stripped`, where Node would strip it anew in each, and share what is compiled in `compiled`.
 * Plain JavaScript, since the least TypeScript has Node load its stripper.
 */
const root = new URL('../..', import.meta.url).href;
const { searchParams } = new URL(import.meta.url);
const stripped = searchParams.get('stripped');

module.enableCompileCache?.(searchParams.get('compiled'));
const hooks = {
  load(url, context, nextLoad) {
    if (!url.startsWith(root) || !url.endsWith('.ts')) return nextLoad(url, context);
    try {
      const source = readFileSync(`${stripped}/${url.slice(root.length)}`);
      return { format: 'module', source, shortCircuit: true };
    } catch {
      return nextLoad(url, context); // What a test has written itself.
    }
  },
};
// A test may also start another Node than the one that comes with the install, as npm is started by.
if (process.features.typescript) module.registerHooks?.(hooks);
