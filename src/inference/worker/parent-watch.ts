import { workerData } from 'node:worker_threads';

/**
 * A thread that kills this process once its parent is gone. A graph that runs holds the main thread, which then sees neither
 * standard input close nor a signal, and one that never ends would spin on with nobody to end it.
 */
const parent: unknown = workerData;
setInterval(() => {
  // An orphan has another parent.
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
}, 1_000);
