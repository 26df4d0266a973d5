/**
 * What a worker may know of this process' environment: where programs and libraries are, and how its engine is to run. It
 * reads files that customers bring, and has no business with the database, the passwords and the tokens among the rest.
 */
const HANDED_ON = [
  /^(PATH|HOME|TMPDIR|TZ|LANG|LC_[A-Z]+|(DY)?LD_LIBRARY_PATH|NODE_OPTIONS|(ORT|OMP|TF|CUDA|NVIDIA|VK|XDG|MALLOC)_[A-Z0-9_]+)$/,
  // Of OpenTelemetry's, which are no secrets; where to send spans is told by `LocalWorkerOptions.environment`.
  /^(OTEL_RESOURCE_ATTRIBUTES|OTEL_EXPORTER_OTLP_(TRACES_)?(TIMEOUT|COMPRESSION|CERTIFICATE))$/,
];

/**
 * glibc gives back to the system what an unloaded model took. Left to itself it learns to keep large pieces: after a few
 * models came and went 200 MB of them stayed, with these settings 40 MB; runs took as long.
 */
const GIVE_MEMORY_BACK = { MALLOC_MMAP_THRESHOLD_: String(2 ** 20), MALLOC_TRIM_THRESHOLD_: String(2 ** 23) };

export function workerEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const handedOn = Object.entries(environment).filter(([name]) =>
    HANDED_ON.some((pattern) => pattern.test(name)),
  );
  return { ...GIVE_MEMORY_BACK, ...Object.fromEntries(handedOn) };
}
