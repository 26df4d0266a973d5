/** What a server answered over HTTP, before anything is expected of it. */
export interface GraphqlAnswer<Data> {
  readonly status: number;
  readonly headers: Headers;
  readonly data: Data | null;
  readonly errors: readonly { message: string; extensions: Record<string, unknown> }[];
  readonly extensions: Record<string, unknown>;
}

export interface SendOptions {
  readonly signal?: AbortSignal;
  readonly headers?: Record<string, string>;
}

/** A client as any customer would write it: `fetch` and JSON. */
export class GraphqlClient {
  readonly #url: string;
  readonly #credential: string | null;

  constructor(url: string, credential: string | null) {
    this.#url = url;
    this.#credential = credential;
  }

  as(credential: string | null): GraphqlClient {
    return new GraphqlClient(this.#url, credential);
  }

  async send<Data = Record<string, never>>(
    query: string,
    variables: Record<string, unknown> = {},
    { signal, headers = {} }: SendOptions = {},
  ): Promise<GraphqlAnswer<Data>> {
    const response = await fetch(`${this.#url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(this.#credential === null ? {} : { authorization: `Bearer ${this.#credential}` }),
        ...headers,
      },
      body: JSON.stringify({ query, variables }),
      ...(signal ? { signal } : {}),
    });
    const {
      data = null,
      errors = [],
      extensions = {},
    } = (await response.json()) as Partial<GraphqlAnswer<Data>>;
    return { status: response.status, headers: response.headers, data, errors, extensions };
  }

  /** Throws what the server answered where it is an error, with the request's id. */
  async data<Data>(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
    const { data, errors, extensions } = await this.send<Data>(query, variables);
    if (errors.length > 0 || data === null) {
      throw new Error(`request ${extensions.requestId}: ${JSON.stringify(errors)}\n${query}`);
    }
    return data;
  }

  async classify(
    input: Record<string, unknown>,
    options: SendOptions = {},
  ): Promise<GraphqlAnswer<ClassifyData>> {
    return this.send<ClassifyData>(CLASSIFY, { input: { model: 'shapes', ...input } }, options);
  }
}

export interface ClassifyData {
  readonly classify: {
    readonly results: readonly (
      | {
          __typename: 'Classification';
          width: number;
          height: number;
          labels: { label: string; index: number; score: number }[];
        }
      | { __typename: 'ImageError'; code: string; message: string }
    )[];
    readonly receipt: {
      requestId: string;
      model: string;
      version: number;
      compression: string;
      device: string;
      images: number;
      units: number;
      cachedImages: number;
      replayed: boolean;
      batchSize: number;
      timings: Record<'totalMs' | 'decodeMs' | 'queueMs' | 'inferenceMs' | 'postprocessMs', number>;
      quota: {
        meter: string;
        limit: number | null;
        used: number;
        reserved: number;
        remaining: number | null;
        resetsAt: string;
      };
    };
  };
}

const CLASSIFY = `mutation($input: ClassifyInput!) {
  classify(input: $input) {
    results {
      __typename
      ... on Classification { width height labels { label index score } }
      ... on ImageError { code message }
    }
    receipt {
      requestId model version compression device images units cachedImages replayed batchSize
      timings { totalMs decodeMs queueMs inferenceMs postprocessMs }
      quota { meter limit used reserved remaining resetsAt }
    }
  }
}`;
