// Prints the path of the Node that comes with the install. Plain JavaScript for whatever Node starts npm: the scripts of
// package.json run what this names. npm would link it into node_modules/.bin, but npm 10 deletes that link once it drops
// the packages for other platforms, which have one of the same name.
import { createRequire } from 'node:module';

const { resolve } = createRequire(import.meta.url);
const { platform, arch, stdout } = process;

function find(name) {
  try {
    return resolve(`${name}/bin/node`);
  } catch {
    return null; // Not this platform's package.
  }
}

const path = find(`node-${platform}-${arch}`) ?? find(`node-bin-${platform}-${arch}`);
if (path === null) {
  throw new Error(
    `No Node for ${platform}-${arch} in node_modules: run npm ci, on Linux (glibc) or macOS, x64 or arm64.`,
  );
}
stdout.write(path);
