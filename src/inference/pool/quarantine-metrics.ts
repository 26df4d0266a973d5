import { Gauge, type Registry } from 'prom-client';
import type { Quarantine } from './quarantine.ts';

/** How long models are kept from workers. No tenant is told of by name: of models that share theirs, and of tenants, the longest is told. */
export function registerQuarantineMetrics(registry: Registry, quarantine: Quarantine): void {
  new Gauge({
    name: 'fovea_model_quarantine_seconds',
    help: 'For how long a model that workers died of is not run yet on images of all, or of one tenant: of those of a name and version, the longest.',
    labelNames: ['model', 'images_of'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { variant, tenant, leftMs } of quarantine.list().sort((a, b) => a.leftMs - b.leftMs))
        this.set(
          { model: variant.title, images_of: tenant === null ? 'all' : 'one tenant' },
          Math.ceil(leftMs / 1_000),
        );
    },
  });
}
