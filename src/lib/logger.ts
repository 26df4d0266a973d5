import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/**
 * Structured logs on standard error (standard output carries the lines a person or a program waits for). Nobody logs images or
 * credentials; as a net below that habit, values under the names below are replaced where they stand at the top or one level
 * down.
 */
export function createLogger(level: string, destination: DestinationStream = standardError()): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: {
        paths: [
          'authorization',
          '*.authorization',
          'password',
          '*.password',
          'secret',
          '*.secret',
          'token',
          '*.token',
        ],
        censor: '[redacted]',
      },
    },
    destination,
  );
}

/**
 * A terminal that was closed takes no more lines, and the process ends in order all the same: silently. pino does so where a
 * pipe has lost its reader; any other failed write it would repeat for ever on exit.
 */
function standardError(): DestinationStream {
  const stream = pino.destination(2);
  stream.on('error', () => {
    const silent = () => {};
    Object.assign(stream, { write: silent, flushSync: silent, end: silent });
  });
  return stream;
}
