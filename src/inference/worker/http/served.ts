import type { Registry } from 'prom-client';
import type { Tracer } from '../../../lib/tracing/tracer.ts';
import type { ArtifactStore } from '../../artifact-store.ts';
import { OipError } from '../../oip/errors.ts';
import type { WorkerModels } from '../models.ts';
import type { ServedModels } from '../served-models.ts';
import type { Uploads } from './artifact-transfer.ts';
import type { RequestAdmission } from './request-admission.ts';

/** What a worker's endpoints are about. */
export interface Served {
  readonly models: ServedModels;
  /** The same where it holds them itself, with where their artefacts are; null: another server has them. */
  readonly own: { readonly models: WorkerModels; readonly artifacts: ArtifactStore } | null;
  readonly admission: RequestAdmission;
  readonly tracer: Tracer;
  /** What Prometheus scrapes. */
  readonly metrics: Registry;
  readonly uploads: Uploads;
  /** Of one artefact that a client brings. */
  readonly maxArtifactBytes: number;
  /** Whether clients may bring any. */
  readonly takesArtifacts: boolean;
  /** Whether the worker takes no more work. */
  readonly isDraining: boolean;
}

/** What only a worker that holds models itself can do. Throws OipError 405. */
export function requireOwn({ own }: Served): NonNullable<Served['own']> {
  if (own !== null) return own;
  throw new OipError(
    405,
    'another server has the models, and this worker stands before it: they are loaded there',
  );
}
