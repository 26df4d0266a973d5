export interface StartupParameters {
  /** PostgreSQL's command-line options, e.g. `-c role=…`. */
  readonly options?: string;
  readonly application_name: string;
}

/**
 * `url` with these parameters in it. They must stand in the string itself, since pg lets a string win over what is
 * configured beside it. Options that it has already stay, and come first: of two that set the same the last one counts.
 */
export function withParameters(url: string, { options, application_name }: StartupParameters): string {
  const own = new URL(url);
  if (options !== undefined) {
    own.searchParams.set('options', [...own.searchParams.getAll('options'), options].join(' '));
  }
  own.searchParams.set('application_name', application_name);
  return own.href;
}
