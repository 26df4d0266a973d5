import { appendFileSync, readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

/**
 * Loaded before a server (`node --import`): has it run the instrumented modules of FOVEA_CRASH_MODULES (a file: JSON from URLs to
 * sources), write each point that it comes by for the first time into the file FOVEA_CRASH_REACHED, and kill itself when it comes by
 * the point FOVEA_CRASH_AT for the FOVEA_CRASH_TIMES-th time.
 */
const { FOVEA_CRASH_MODULES, FOVEA_CRASH_REACHED, FOVEA_CRASH_AT, FOVEA_CRASH_TIMES } = process.env;
const sources: Record<string, string> = JSON.parse(readFileSync(FOVEA_CRASH_MODULES!, 'utf8'));

registerHooks({
  load(url, context, nextLoad) {
    const source = sources[url];
    return source === undefined ? nextLoad(url, context) : { format: 'module', source, shortCircuit: true };
  },
});

const reached = new Set<string>();
let times = 0;

Object.assign(globalThis, {
  __crashPoint(point: string, value: unknown) {
    if (!reached.has(point)) {
      reached.add(point);
      appendFileSync(FOVEA_CRASH_REACHED!, `${point}\n`);
    }
    if (point === FOVEA_CRASH_AT) {
      times += 1;
      // The signal is delivered before the call returns: nothing more is done.
      if (times === Number(FOVEA_CRASH_TIMES)) process.kill(process.pid, 'SIGKILL');
    }
    return value;
  },
});
