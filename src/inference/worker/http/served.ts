import type { Registry } from 'prom-client';
import type { Tracer } from '../../../lib/tracing/tracer.ts';
import type { ArtifactStore } from '../../artifact-store.ts';
import { OipError } from '../../oip/errors.ts';
import type { WorkerModels } from '../models.ts';
import type { Admission } from './admission.ts';
import type { Uploads } from './artifact-transfer.ts';

/** What a worker's endpoints are about. */
export interface Served {
  readonly models: WorkerModels;
  readonly artifacts: ArtifactStore;
  readonly admission: Admission;
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

/** A worker holds one version of a name. Throws OipError 404 for another. */
export function requireOnlyVersion(version: string | undefined): void {
  if (version === undefined || version === '1') return;
  throw new OipError(404, `version '${version.slice(0, 80)}': the only version is '1'`);
}
