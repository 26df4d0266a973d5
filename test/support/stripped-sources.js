import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

/**
 * Loaded before the processes that tests start (`node --import`): they find the repository's TypeScript stripped of its types, in the
 * folder FOVEA_TEST_STRIPPED, where Node would strip it anew in each. Plain JavaScript, since the least TypeScript has Node load its stripper.
 */
const root = new URL('../..', import.meta.url).href;
const folder = process.env.FOVEA_TEST_STRIPPED;

registerHooks({
  load(url, context, nextLoad) {
    if (!url.startsWith(root) || !url.endsWith('.ts')) return nextLoad(url, context);
    try {
      const source = readFileSync(`${folder}/${url.slice(root.length)}`);
      return { format: 'module', source, shortCircuit: true };
    } catch {
      return nextLoad(url, context); // What a test has written itself.
    }
  },
});
