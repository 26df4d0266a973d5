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

  /** Boxes are in pixels, and in `shares` of the picture. */
  async detect(
    input: Record<string, unknown>,
    options: SendOptions = {},
  ): Promise<GraphqlAnswer<DetectData>> {
    return this.send<DetectData>(DETECT, { input }, options);
  }

  /** As `detect`; without `png`. */
  async segment(
    input: Record<string, unknown>,
    options: SendOptions = {},
  ): Promise<GraphqlAnswer<SegmentData>> {
    return this.send<SegmentData>(SEGMENT, { input }, options);
  }
}

export interface FailedPicture {
  readonly __typename: 'ImageError';
  readonly code: string;
  readonly message: string;
}

export interface ReceiptData {
  readonly requestId: string;
  readonly model: string;
  readonly version: number;
  readonly compression: string;
  readonly device: string;
  readonly images: number;
  readonly units: number;
  readonly cachedImages: number;
  readonly replayed: boolean;
  readonly batchSize: number;
  readonly timings: Record<'totalMs' | 'decodeMs' | 'queueMs' | 'inferenceMs' | 'postprocessMs', number>;
  readonly quota: {
    meter: string;
    limit: number | null;
    used: number;
    reserved: number;
    remaining: number | null;
    resetsAt: string;
  };
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
      | FailedPicture
    )[];
    readonly receipt: ReceiptData;
  };
}

export interface BoxData {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface DetectedData {
  readonly label: string;
  readonly index: number;
  readonly score: number;
  readonly box: BoxData;
  readonly shares: BoxData;
}

export interface DetectionData {
  readonly __typename: 'Detection';
  readonly width: number;
  readonly height: number;
  readonly objects: readonly DetectedData[];
}

export interface DetectData {
  readonly detect: {
    readonly results: readonly (DetectionData | FailedPicture)[];
    readonly receipt: ReceiptData;
  };
}

export interface SegmentedData {
  readonly label: string;
  readonly index: number;
  readonly score: number | null;
  readonly areaFraction: number;
  readonly box: BoxData;
  readonly shares: BoxData;
  readonly rle: string;
}

export interface SegmentationData {
  readonly __typename: 'Segmentation';
  readonly width: number;
  readonly height: number;
  readonly segments: readonly SegmentedData[];
}

export interface SegmentData {
  readonly segment: {
    readonly results: readonly (SegmentationData | FailedPicture)[];
    readonly receipt: ReceiptData;
  };
}

const RECEIPT = `receipt {
  requestId model version compression device images units cachedImages replayed batchSize
  timings { totalMs decodeMs queueMs inferenceMs postprocessMs }
  quota { meter limit used reserved remaining resetsAt }
}`;

const BOXES = 'box { x y width height } shares: box(space: NORMALIZED) { x y width height }';

const CLASSIFY = `mutation($input: ClassifyInput!) {
  classify(input: $input) {
    results {
      __typename
      ... on Classification { width height labels { label index score } }
      ... on ImageError { code message }
    }
    ${RECEIPT}
  }
}`;

const DETECT = `mutation($input: DetectInput!) {
  detect(input: $input) {
    results {
      __typename
      ... on Detection { width height objects { label index score ${BOXES} } }
      ... on ImageError { code message }
    }
    ${RECEIPT}
  }
}`;

const SEGMENT = `mutation($input: SegmentInput!) {
  segment(input: $input) {
    results {
      __typename
      ... on Segmentation { width height segments { label index score areaFraction rle ${BOXES} } }
      ... on ImageError { code message }
    }
    ${RECEIPT}
  }
}`;
