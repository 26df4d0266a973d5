import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = process.env.FOVEA_TEST_DATA ?? resolve(import.meta.dirname, '../../../shared/data');

/**
 * Answers the path of a file or folder of the data set that some tests compare with (models, photographs, expected
 * answers: too large for the repository), or null where it is absent: such a test is skipped and says so in its name.
 */
export function sharedData(path: string): string | null {
  const absolute = join(root, path);
  return existsSync(absolute) ? absolute : null;
}
