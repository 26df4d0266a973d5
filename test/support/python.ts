import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/**
 * The interpreter that tests run others' Python packages with, or null where it is absent or lacks one of `modules`: such a
 * test is skipped and says so in its name. `FOVEA_TEST_PYTHON` names one; else it is that of the checkout's `.python`, which
 * `.ci/run` fills with `python-requirements.txt`.
 */
export function python(...modules: string[]): string | null {
  const path = process.env.FOVEA_TEST_PYTHON ?? resolve(import.meta.dirname, '../../.python/bin/python3');
  if (!existsSync(path)) return null;
  const find =
    'import sys, importlib.util as u; sys.exit(any(u.find_spec(name) is None for name in sys.argv[1:]))';
  return spawnSync(path, ['-c', find, ...modules]).status === 0 ? path : null;
}
