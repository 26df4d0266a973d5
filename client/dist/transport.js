import { errorOf, FoveaError, NetworkError, UploadError } from './errors.js';
/** Waits between tries where the server names no time: the first of these, then twice that, and so on. */
const firstPauseMs = 200;
const longestPauseMs = 10_000;
/** Whoever is asked to wait longer is told, instead of being kept. */
const longestWaitMs = 60_000;
/** Longer than any request may take by the server's own limits. */
const longestTryMs = 150_000;
/** What passes. Only the first is known to be refused before anything was done: the others may have lost an answer. */
const passing = new Set(['RATE_LIMITED', 'CONCURRENCY_LIMITED', 'OVERLOADED', 'NETWORK_ERROR']);
/** Of an upload: too slow, too many, or a server in trouble. */
const passingStatus = (status) => status === 408 || status === 429 || status >= 500;
/** Sends operations to one server, and again where a call failed for the moment and may be made twice. */
export class Transport {
    #options;
    constructor(options) {
        this.#options = options;
    }
    get fetch() {
        return this.#options.fetch;
    }
    /**
     * @param repeatable whether making the call twice does what making it once does: a query, or a mutation with an idempotency key
     * @throws FoveaError, or the signal's reason
     */
    request(document, variables, { signal } = {}, repeatable = isQuery(document.text)) {
        return this.retrying(() => this.send(document, variables, signal), signal, repeatable);
    }
    /** Makes `call` again while it fails with what passes: after the time that the server names, or longer and longer. */
    async retrying(call, signal, repeatable) {
        for (let retry = 0;; retry++) {
            try {
                return await call();
            }
            catch (error) {
                signal?.throwIfAborted();
                if (!isPassing(error, repeatable) || retry >= this.#options.maxRetries)
                    throw error;
                const pauseMs = error.retryAfterMs ?? Math.min(longestPauseMs, firstPauseMs * 2 ** retry);
                if (pauseMs > longestWaitMs)
                    throw error;
                // Up to a quarter more, so that those who were refused together do not come back together.
                await pause(pauseMs * (1 + Math.random() / 4), signal);
            }
        }
    }
    /** One try. */
    send({ text }, variables, signal) {
        return this.#send(text, variables, signal);
    }
    async #send(query, variables, signal) {
        const { url, token } = this.#options;
        const credential = typeof token === 'string' ? token : await token();
        const { status, text } = await this.#post(url, {
            method: 'POST',
            headers: { 'content-type': 'application/json', authorization: `Bearer ${credential}` },
            body: JSON.stringify({ query, variables }),
            ...(signal && { signal }),
        });
        const answer = parse(text);
        if (!answer)
            throw new NetworkError(`${url} answered ${status} with what is no answer of GraphQL`);
        const requestId = answer.extensions?.requestId ?? null;
        const [error] = answer.errors ?? [];
        if (error)
            throw errorOf(error, requestId);
        if (answer.data == null)
            throw new NetworkError(`${url} answered ${status} without data`);
        return answer.data;
    }
    async #post(url, init) {
        try {
            const limit = AbortSignal.timeout(longestTryMs);
            const signal = init.signal ? AbortSignal.any([init.signal, limit]) : limit;
            const response = await this.#options.fetch(url, { ...init, signal });
            return { status: response.status, text: await response.text() };
        }
        catch (error) {
            init.signal?.throwIfAborted();
            throw new NetworkError(`${url} did not answer: ${reasonOf(error)}`, error);
        }
    }
}
function isQuery(text) {
    return /^\s*(query\b|\{)/.test(text);
}
function isPassing(error, repeatable) {
    if (error instanceof UploadError)
        return passingStatus(error.status);
    if (!(error instanceof FoveaError))
        return false;
    return repeatable ? passing.has(error.code) : error.code === 'RATE_LIMITED';
}
function parse(text) {
    try {
        const answer = JSON.parse(text);
        const isAnswer = typeof answer === 'object' && answer !== null && ('data' in answer || 'errors' in answer);
        return isAnswer ? answer : null;
    }
    catch {
        return null; // A proxy's page.
    }
}
/** `fetch` hides what went wrong in the cause of its error. */
export function reasonOf(error) {
    const { message, cause } = error;
    return cause?.message || cause?.code || message || String(error);
}
function pause(ms, signal) {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(done, ms);
        signal?.addEventListener('abort', aborted, { once: true });
        function done() {
            signal?.removeEventListener('abort', aborted);
            resolve();
        }
        function aborted() {
            clearTimeout(timer);
            reject(signal?.reason);
        }
    });
}
