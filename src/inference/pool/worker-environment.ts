/**
 * What a worker may know of this process' environment: where programs and libraries are, and how its engine is to run. It
 * reads files that customers bring, and has no business with the database, the passwords and the tokens among the rest.
 */
const HANDED_ON =
  /^(PATH|HOME|TMPDIR|TZ|LANG|LC_[A-Z]+|(DY)?LD_LIBRARY_PATH|NODE_OPTIONS|(ORT|OMP|TF|CUDA|NVIDIA|VK|XDG)_[A-Z0-9_]+)$/;

export function workerEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => HANDED_ON.test(name)));
}
